/** Passes everything on to a service, and tells how clients connect to it. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface WatchingProxy {
  readonly url: string;
  /** Sync streams that were asked for so far, by the way of connecting. */
  readonly streams: { readonly http: number; readonly websocket: number };
  /** Cuts all connections. */
  cut(): void;
  close(): Promise<void>;
}

export async function startWatchingProxy(port: number): Promise<WatchingProxy> {
  const streams = { http: 0, websocket: 0 };
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    const service = connect(port, '127.0.0.1');
    for (const socket of [client, service]) keep(socket);
    client.on('data', (bytes: Buffer) => {
      // A browser sends the first line of a request in one piece.
      const text = bytes.toString('latin1');
      if (/^GET \/sync\/stream HTTP\/1\.1\r\n[^]*\r\nupgrade: websocket\r\n/i.test(text)) streams.websocket++;
      if (text.startsWith('POST /sync/stream HTTP/1.1\r\n')) streams.http++;
    });
    client.pipe(service).pipe(client);
    client.once('close', () => service.destroy());
    service.once('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    streams,
    cut,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      cut();
      await closed;
    },
  };
}
