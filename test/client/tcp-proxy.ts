/** Passes TCP connections on as they are; for tests that look at them, move them, or cut them. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface TcpProxy {
  /** `http://127.0.0.1:port`, or with the address that it was told to listen on. */
  readonly url: string;
  readonly port: number;
  /** Cuts all connections. */
  cut(): void;
  close(): Promise<void>;
}

export interface TcpProxyOptions {
  /** Port of this machine for a new connection; undefined: it is cut. */
  readonly target: () => number | undefined;
  /** Address to listen on; default 127.0.0.1. */
  readonly host?: string;
  /** What a client sends. */
  readonly onBytes?: (bytes: Buffer) => void;
}

export async function startTcpProxy({ target, onBytes, host = '127.0.0.1' }: TcpProxyOptions): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    const port = target();
    if (port === undefined) return void client.destroy();
    const service = connect(port, '127.0.0.1');
    for (const socket of [client, service]) keep(socket);
    if (onBytes !== undefined) client.on('data', onBytes);
    client.pipe(service).pipe(client);
    client.once('close', () => service.destroy());
    service.once('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => void server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://${host}:${port}`,
    port,
    cut,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      cut();
      await closed;
    },
  };
}
