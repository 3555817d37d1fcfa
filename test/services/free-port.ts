import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * A TCP port that is free on 127.0.0.1 now. Taken from below the range out of which systems give ports to outgoing
 * connections, so that a server that a test stops finds its port free when it comes back.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(15_000, 32_000);
    if (await canListen(port)) return port;
  }
  throw new Error('No free port between 15000 and 32000 on 127.0.0.1 in 100 attempts.');
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
