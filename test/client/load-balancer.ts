/** A TCP load balancer in a few lines, as a Service of Kubernetes is one: new connections go round the ready targets, open ones stay. */
import { connect, createServer, type Socket } from 'node:net';

export interface LoadBalancer {
  readonly endpoint: string;
  /** Ports that get new connections. */
  setTargets(ports: readonly number[]): void;
  /** New connections to each port so far. */
  readonly connections: ReadonlyMap<number, number>;
  close(): Promise<void>;
}

export async function startLoadBalancer(): Promise<LoadBalancer> {
  let targets: readonly number[] = [];
  let next = 0;
  const open = new Set<Socket>();
  const connections = new Map<number, number>();
  const server = createServer((client) => {
    const port = targets[next++ % targets.length];
    if (port === undefined) return void client.destroy();
    connections.set(port, (connections.get(port) ?? 0) + 1);
    const target = connect({ port, host: '127.0.0.1' });
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      open.add(from);
      from.pipe(to);
      from.once('close', () => {
        open.delete(from);
        to.destroy();
      });
      from.on('error', () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address() as { port: number };
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    setTargets: (ports) => void (targets = ports),
    connections,
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
