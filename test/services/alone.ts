import { once } from 'node:events';
import { type Server, connect, createServer } from 'node:net';

/**
 * Runs `work` while no other process of this machine and user runs work of the same name: several test workers may find
 * the same server missing at once. The lock is a listening socket in Linux's abstract namespace: it ends with its owner,
 * however that ends. Elsewhere nothing is installed by the tests, and nothing is locked.
 */
export async function alone<T>(name: string, work: () => Promise<T>): Promise<T> {
  if (process.platform !== 'linux') return work();
  const address = `\0millrace-${process.getuid?.() ?? 0}-${name}`;
  let lock = await tryListen(address);
  while (lock === undefined) {
    await untilReleased(address);
    lock = await tryListen(address);
  }
  try {
    return await work();
  } finally {
    lock.closeAll();
  }
}

type Lock = { closeAll(): void };

async function tryListen(address: string): Promise<Lock | undefined> {
  const server: Server = createServer();
  const waiting = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => {
    waiting.add(socket);
    socket.on('error', () => {}).on('close', () => waiting.delete(socket));
  });
  server.listen(address);
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw error;
  }
  const closeAll = () => {
    server.close();
    for (const socket of waiting) socket.destroy();
  };
  return { closeAll };
}

/** The owner never answers; the connection ends when the owner is done or dead. */
function untilReleased(address: string): Promise<void> {
  return new Promise((resolve) => {
    connect(address)
      .on('error', () => {})
      .on('close', () => resolve())
      .resume();
  });
}
