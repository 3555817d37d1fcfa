/**
 * A small client of the sync protocol over HTTP or WebSocket, for tests and benchmarks. It keeps what the client core keeps (S chapter 16), verifies
 * checksums and the order of lines at each completion, and can disconnect and resume at any point.
 */
import type { Agent, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { createClientModel, type ClientModel } from './client-model.ts';
import { createLineCounter, createLineReader, type WireLine } from './line-reader.ts';
import { http, RefusedError, webSocket } from './transports.ts';

export interface ProtocolClientOptions {
  /** `http://host:port` */
  readonly endpoint: string;
  readonly token: string | (() => string | Promise<string>);
  /** Default HTTP. Over WebSocket lines are always BSON, and `acceptEncoding` means compressed messages. */
  readonly transport?: 'http' | 'websocket';
  /** WebSocket: payloads that may be under way; default 10, as clients have it. */
  readonly credit?: number;
  readonly encoding?: 'bson' | 'ndjson';
  readonly clientId?: string;
  /** `streams` of the request (S-531); absent: default streams only. */
  readonly streams?: unknown;
  readonly parameters?: unknown;
  readonly acceptEncoding?: string;
  /** Counts lines and operations and decodes nothing (BSON only). */
  readonly counting?: boolean;
  readonly agent?: Agent;
  /** Further members of the request. */
  readonly body?: Readonly<Record<string, unknown>>;
  /** Called after each validated full completion; what it throws ends the session. */
  readonly onComplete?: () => void;
}

export { RefusedError };

export interface ProtocolClient extends Omit<ClientModel, 'begin' | 'handle'> {
  /** Every line of the present session, newest last, at most 10,000; nothing when counting. */
  readonly lines: readonly WireLine[];
  /** Resolves when the response has begun; rejects with RefusedError. Ends an earlier session. */
  connect(): Promise<IncomingMessage>;
  /** Cuts the connection wherever it is. */
  disconnect(): void;
  /** Resolves when the service ended the session, rejects when a rule of the protocol was broken. */
  readonly ended: Promise<void>;
  /** Resolves as soon as `condition` holds after a line; rejects when the session fails or ends, or after `timeoutMs` (default 10 s). */
  until(condition: () => boolean, what?: string, timeoutMs?: number): Promise<void>;
  /** `GET /write-checkpoint2.json` */
  requestWriteCheckpoint(): Promise<bigint>;
  /** Stops reading from the socket, and goes on. */
  pause(): void;
  resume(): void;
}

const KEPT_LINES = 10_000;
const DEFAULT_CREDIT = 10;

export function createProtocolClient(options: ProtocolClientOptions): ProtocolClient {
  const encoding = options.encoding ?? 'bson';
  const model = createClientModel(() => options.onComplete?.());
  const { store, counts } = model;
  const waiting = new Set<() => void>();
  let lines: WireLine[] = [];
  let open: { destroy(): void; socket: Socket | null } | null = null;
  let failure: Error | null = null;
  let over = true;
  let ended = Promise.resolve();

  const check = (): void => {
    for (const waiter of waiting) waiter();
  };

  const handle = (line: WireLine): void => {
    lines.push(line);
    if (lines.length > KEPT_LINES) lines.shift();
    model.handle(line);
    check();
  };

  const read = (body: Readable): Promise<void> => {
    const reader = createLineReader(encoding);
    const push = options.counting ? createLineCounter(counts, check) : null;
    return new Promise((resolve, reject) => {
      body.on('data', (bytes: Buffer) => {
        try {
          if (push !== null) push(bytes);
          else {
            counts.bytes += bytes.length;
            for (const line of reader.push(bytes)) handle(line);
          }
        } catch (error) {
          failure = error as Error;
          open?.destroy();
          reject(failure);
        }
      });
      body.on('end', () => (reader.pending > 0 ? reject(new Error('the stream ended inside a line')) : resolve()));
      body.on('error', reject);
    });
  };

  const connect = async (): Promise<IncomingMessage> => {
    disconnect();
    const token = typeof options.token === 'string' ? options.token : await options.token();
    const body = JSON.stringify({
      buckets: store.positions(),
      include_checksum: true,
      raw_data: true,
      binary_data: true,
      ...(options.clientId === undefined ? {} : { client_id: options.clientId }),
      ...(options.parameters === undefined ? {} : { parameters: options.parameters }),
      ...(options.streams === undefined ? {} : { streams: options.streams }),
      ...options.body,
    });
    const accept =
      encoding === 'bson'
        ? 'application/vnd.powersync.bson-stream;q=0.9,application/x-ndjson;q=0.8'
        : 'application/x-ndjson';
    const transport = options.transport === 'websocket' ? webSocket : http;
    const { opened, destroy } = transport.open({
      ...{ endpoint: options.endpoint, token, body, accept },
      acceptEncoding: options.acceptEncoding,
      agent: options.agent,
      credit: options.credit ?? DEFAULT_CREDIT,
    });
    const mine = { destroy, socket: null as Socket | null };
    open = mine;
    failure = null;
    model.begin();
    lines = [];
    const { response, lines: stream, socket } = await opened;
    mine.socket = socket;
    over = false;
    const done = read(stream);
    ended = done.finally(() => {
      if (open !== mine) return;
      over = true;
      check();
    });
    ended.catch((error: unknown) => {
      if (open !== mine) return;
      failure ??= error as Error;
      check();
    });
    return response;
  };

  const disconnect = (): void => {
    open?.destroy();
    open = null;
    over = true;
  };

  const until: ProtocolClient['until'] = (condition, what = 'condition', timeoutMs = 10_000) =>
    new Promise((resolve, reject) => {
      const stop = (): void => {
        waiting.delete(waiter);
        clearTimeout(timer);
      };
      const waiter = (): void => {
        if (failure !== null) return (stop(), reject(failure));
        if (condition()) return (stop(), resolve());
        if (over) return (stop(), reject(new Error(`the session ended before: ${what}`)));
      };
      const timer = setTimeout(() => {
        stop();
        reject(
          new Error(
            `not within ${timeoutMs} ms: ${what}; ${JSON.stringify({ completed: model.completedOp, announced: model.tracked?.lastOpId, counts })}`,
          ),
        );
      }, timeoutMs);
      waiting.add(waiter);
      waiter();
    });

  return {
    store,
    counts,
    get tracked() {
      return model.tracked;
    },
    get completedOp() {
      return model.completedOp;
    },
    get writeCheckpoint() {
      return model.writeCheckpoint;
    },
    get visible() {
      return model.visible;
    },
    get lines() {
      return lines;
    },
    connect,
    disconnect,
    get ended() {
      return ended;
    },
    until,
    async requestWriteCheckpoint() {
      const token = typeof options.token === 'string' ? options.token : await options.token();
      const query = options.clientId === undefined ? '' : `?client_id=${encodeURIComponent(options.clientId)}`;
      const response = await fetch(`${options.endpoint}/write-checkpoint2.json${query}`, {
        headers: { authorization: `Token ${token}` },
      });
      if (!response.ok) throw new RefusedError(response.status, await response.text());
      const answer = (await response.json()) as { data: { write_checkpoint: string } };
      return BigInt(answer.data.write_checkpoint);
    },
    pause: () => void open?.socket?.pause(),
    resume: () => void open?.socket?.resume(),
  };
}
