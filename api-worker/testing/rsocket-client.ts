/** The library that clients use, `rsocket-core`, connected as they connect it (S-593…S-595). */
import { deserialize } from 'bson';
import { RSocketConnector, type RSocket } from 'rsocket-core';
import { WebsocketClientTransport } from 'rsocket-websocket-client';
import { json, PATH } from './rsocket-peer.ts';

export interface RSocketClientOptions {
  readonly endpoint: string;
  readonly token: string;
  readonly credit: number;
  readonly createSocket: (url: string) => WebSocket;
  readonly keepaliveMs?: number;
  /** Bytes of the frames that a request is sent in; default all in one. */
  readonly fragmentBytes?: number;
  readonly request?: object;
}

export interface RSocketClient {
  /** Kinds of lines with their content, in the order in which they came. */
  readonly lines: Record<string, unknown>[];
  /** Asks for more payloads. */
  request(n: number): void;
  cancel(): void;
  /** A further stream on the same connection. */
  open(request: object): void;
  readonly error: Error | null;
  readonly isComplete: boolean;
  /** Why the connection was closed. */
  readonly closed: Promise<Error | undefined>;
  until(condition: () => boolean, what: string): Promise<void>;
  close(): void;
}

export async function connectRSocket(options: RSocketClientOptions): Promise<RSocketClient> {
  const connector = new RSocketConnector({
    transport: new WebsocketClientTransport({
      url: `${options.endpoint.replace(/^http/, 'ws')}/sync/stream`,
      wsCreator: options.createSocket,
    }),
    setup: {
      keepAlive: options.keepaliveMs ?? 20_000,
      lifetime: 90_000,
      dataMimeType: 'application/json',
      metadataMimeType: 'application/json',
      payload: { data: null, metadata: json({ token: `Token ${options.token}`, user_agent: 'rsocket-core' }) },
    },
    ...(options.fragmentBytes === undefined
      ? {}
      : { fragmentation: { maxOutboundFragmentSize: options.fragmentBytes } }),
  });
  const rsocket: RSocket = await connector.connect();
  let isClosed = false;
  const closed = new Promise<Error | undefined>((resolve) => {
    rsocket.onClose((reason) => {
      isClosed = true;
      resolve(reason);
    });
  });
  const lines: Record<string, unknown>[] = [];
  let error: Error | null = null;
  let isComplete = false;
  const waiting = new Set<() => void>();
  const check = (): void => {
    for (const waiter of waiting) waiter();
  };
  const open = (request: object) =>
    rsocket.requestStream({ data: json(request), metadata: PATH }, options.credit, {
      onNext({ data }, last) {
        lines.push(deserialize(data!));
        isComplete ||= last;
        check();
      },
      onError(failure) {
        error ??= failure;
        check();
      },
      onComplete() {
        isComplete = true;
        check();
      },
      onExtension: () => undefined,
    });
  let stream = open(options.request ?? {});
  return {
    lines,
    request: (n) => stream.request(n),
    cancel: () => stream.cancel(),
    open(request) {
      isComplete = false;
      stream = open(request);
    },
    get error() {
      return error;
    },
    get isComplete() {
      return isComplete;
    },
    closed,
    until: (condition, what) =>
      new Promise((resolve, reject) => {
        const stop = (): void => {
          waiting.delete(waiter);
          clearTimeout(timer);
        };
        const waiter = (): void => {
          if (condition()) return (stop(), resolve());
          if (error !== null) return (stop(), reject(error));
        };
        const timer = setTimeout(
          () => (stop(), reject(new Error(`did not come: ${what}; ${lines.length} lines`))),
          5000,
        );
        waiting.add(waiter);
        waiter();
      }),
    close() {
      // the library complains about a second time
      if (!isClosed) rsocket.close();
    },
  };
}
