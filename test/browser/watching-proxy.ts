/** Passes everything on to a service, and tells how clients connect to it. */
import { startTcpProxy, type TcpProxy } from '../client/tcp-proxy.ts';

export interface WatchingProxy extends TcpProxy {
  /** Sync streams that were asked for so far, by the way of connecting. */
  readonly streams: { readonly http: number; readonly websocket: number };
}

export async function startWatchingProxy(port: number): Promise<WatchingProxy> {
  const streams = { http: 0, websocket: 0 };
  const proxy = await startTcpProxy({
    target: () => port,
    onBytes(bytes) {
      // A browser sends the first line of a request in one piece.
      const text = bytes.toString('latin1');
      if (/^GET \/sync\/stream HTTP\/1\.1\r\n[^]*\r\nupgrade: websocket\r\n/i.test(text)) streams.websocket++;
      if (text.startsWith('POST /sync/stream HTTP/1.1\r\n')) streams.http++;
    },
  });
  return { ...proxy, streams };
}
