/**
 * A small client of the sync protocol over HTTP, for tests and benchmarks. It keeps what the client core keeps (S chapter 16), verifies
 * checksums and the order of lines at each completion, and can disconnect and resume at any point.
 */
import { request as httpRequest, type Agent, type ClientRequest, type IncomingMessage } from 'node:http';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import type { Readable } from 'node:stream';
import { createBucketStore, type BucketStore, type WireBucket, type WireOperation } from './bucket-store.ts';
import { createLineCounter, createLineReader, type LineCounts, type WireLine } from './line-reader.ts';

export interface ProtocolClientOptions {
  /** `http://host:port` */
  readonly endpoint: string;
  readonly token: string | (() => string | Promise<string>);
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
}

/** The service refused a session or a request. */
export class RefusedError extends Error {
  readonly status: number;
  readonly body: string;
  constructor(status: number, body: string) {
    super(`HTTP ${status}: ${body}`);
    this.name = 'RefusedError';
    this.status = status;
    this.body = body;
  }
}

export interface TrackedCheckpoint {
  lastOpId: string;
  writeCheckpoint: string | null;
  readonly buckets: Map<string, WireBucket>;
  streams: readonly unknown[];
}

export interface ProtocolClient {
  readonly store: BucketStore;
  readonly counts: LineCounts;
  /** The checkpoint announced last; null before the first. */
  readonly tracked: TrackedCheckpoint | null;
  /** `last_op_id` of the newest validated full completion. */
  readonly completedOp: string | null;
  /** Newest write checkpoint in a validated full completion (S-469). */
  readonly writeCheckpoint: bigint | null;
  /** Rows as of the newest validated completion: what the application sees. Partial completions count for their buckets. */
  readonly visible: ReadonlyMap<string, string>;
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

export function createProtocolClient(options: ProtocolClientOptions): ProtocolClient {
  const encoding = options.encoding ?? 'bson';
  const store = createBucketStore();
  const counts: LineCounts = { lines: 0, operations: 0, checkpoints: 0, completes: 0, bytes: 0 };
  const waiting = new Set<() => void>();
  let tracked: TrackedCheckpoint | null = null;
  let completedOp: string | null = null;
  let writeCheckpoint: bigint | null = null;
  let visible: ReadonlyMap<string, string> = new Map();
  let lines: WireLine[] = [];
  let open: { readonly request: ClientRequest; response: IncomingMessage | null } | null = null;
  let failure: Error | null = null;
  let over = true;
  let ended = Promise.resolve();

  const check = (): void => {
    for (const waiter of waiting) waiter();
  };

  const handlers: Record<string, (content: never) => void> = {
    checkpoint(content: { last_op_id: string; write_checkpoint?: string; buckets: WireBucket[]; streams: unknown[] }) {
      counts.checkpoints++;
      tracked = {
        lastOpId: content.last_op_id,
        writeCheckpoint: content.write_checkpoint ?? null,
        buckets: new Map(content.buckets.map((bucket) => [bucket.bucket, bucket])),
        streams: content.streams,
      };
      store.keepOnly(new Set(tracked.buckets.keys()));
    },
    checkpoint_diff(content: { last_op_id: string; write_checkpoint?: string; updated_buckets: WireBucket[]; removed_buckets: string[] }) {
      counts.checkpoints++;
      if (tracked === null) throw new Error('checkpoint_diff before checkpoint (S-543)');
      tracked.lastOpId = content.last_op_id;
      tracked.writeCheckpoint = content.write_checkpoint ?? null;
      for (const name of content.removed_buckets) {
        if (!tracked.buckets.delete(name)) throw new Error(`removed bucket ${name} was not there`);
        store.deleteBucket(name);
      }
      for (const bucket of content.updated_buckets) tracked.buckets.set(bucket.bucket, bucket);
    },
    data(content: { bucket: string; after: string; next_after: string; data: WireOperation[] }) {
      if (tracked === null || !tracked.buckets.has(content.bucket)) throw new Error(`data of a bucket that is not in the checkpoint: ${content.bucket}`);
      counts.operations += content.data.length;
      for (const { op_id: opId } of content.data) {
        if (BigInt(opId) > BigInt(tracked.lastOpId)) throw new Error(`operation ${opId} beyond checkpoint ${tracked.lastOpId} (S-574)`);
      }
      store.addOperations(content.bucket, content.data);
    },
    partial_checkpoint_complete(content: { priority: number; last_op_id: string }) {
      if (tracked === null) throw new Error('partial completion before checkpoint');
      const { priority } = content;
      const included = [...tracked.buckets.values()].filter((bucket) => bucket.priority <= priority);
      validate(included, `partial completion ${priority}`);
      const names = new Set(included.map((bucket) => bucket.bucket));
      visible = new Map([...visible, ...store.rows((name) => names.has(name))]);
    },
    checkpoint_complete(content: { last_op_id: string }) {
      if (tracked === null) throw new Error('checkpoint_complete before checkpoint (S-543)');
      if (content.last_op_id !== tracked.lastOpId) throw new Error(`completed ${content.last_op_id}, announced ${tracked.lastOpId}`);
      validate(tracked.buckets.values(), 'completion');
      for (const { bucket, count } of tracked.buckets.values()) {
        if (store.countOf(bucket) > count) throw new Error(`bucket ${bucket} has ${store.countOf(bucket)} operations, announced ${count} (S-622)`);
      }
      counts.completes++;
      completedOp = tracked.lastOpId;
      const reached = tracked.writeCheckpoint === null ? null : BigInt(tracked.writeCheckpoint);
      if (reached !== null && writeCheckpoint !== null && reached < writeCheckpoint) throw new Error('write checkpoints went back (S-464)');
      writeCheckpoint = reached ?? writeCheckpoint;
      store.completed(tracked.buckets.keys(), tracked.lastOpId);
      visible = store.rows();
    },
    token_expires_in() {},
  };

  const validate = (buckets: Iterable<WireBucket>, what: string): void => {
    const wrong = store.mismatches(buckets);
    if (wrong.length === 0) return;
    for (const name of wrong) store.deleteBucket(name);
    throw new ChecksumError(`${what} at ${tracked?.lastOpId}: checksums of ${wrong.join(', ')} do not match (S-414)`);
  };

  const handle = (line: WireLine): void => {
    counts.lines++;
    const [[kind, content] = ['', null], ...others] = Object.entries(line);
    if (others.length > 0) throw new Error('a line with two members (S-540)');
    lines.push(line);
    if (lines.length > KEPT_LINES) lines.shift();
    handlers[kind]?.(content as never);
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
          open?.request.destroy();
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
    const accept = encoding === 'bson' ? 'application/vnd.powersync.bson-stream;q=0.9,application/x-ndjson;q=0.8' : 'application/x-ndjson';
    const request = httpRequest(`${options.endpoint}/sync/stream`, {
      method: 'POST',
      ...(options.agent === undefined ? { agent: false } : { agent: options.agent }),
      headers: {
        authorization: `Token ${token}`,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        accept,
        ...(options.acceptEncoding === undefined ? {} : { 'accept-encoding': options.acceptEncoding }),
      },
    });
    const mine = { request, response: null as IncomingMessage | null };
    open = mine;
    failure = null;
    tracked = null;
    lines = [];
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      request.once('error', reject);
      request.end(body);
    });
    request.on('error', () => undefined);
    mine.response = response;
    if (response.statusCode !== 200) throw new RefusedError(response.statusCode ?? 0, await textOf(response));
    over = false;
    const done = read(decompressed(response));
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
    open?.request.destroy();
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
        if (failure !== null) return stop(), reject(failure);
        if (condition()) return stop(), resolve();
        if (over) return stop(), reject(new Error(`the session ended before: ${what}`));
      };
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`not within ${timeoutMs} ms: ${what}; ${JSON.stringify({ completedOp, tracked: tracked?.lastOpId, counts })}`));
      }, timeoutMs);
      waiting.add(waiter);
      waiter();
    });

  return {
    store,
    counts,
    get tracked() {
      return tracked;
    },
    get completedOp() {
      return completedOp;
    },
    get writeCheckpoint() {
      return writeCheckpoint;
    },
    get visible() {
      return visible;
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
      const response = await fetch(`${options.endpoint}/write-checkpoint2.json${query}`, { headers: { authorization: `Token ${token}` } });
      if (!response.ok) throw new RefusedError(response.status, await response.text());
      const answer = (await response.json()) as { data: { write_checkpoint: string } };
      return BigInt(answer.data.write_checkpoint);
    },
    pause: () => void open?.response?.socket.pause(),
    resume: () => void open?.response?.socket.resume(),
  };
}

/** What was announced is not what was sent. */
export class ChecksumError extends Error {
  override readonly name = 'ChecksumError';
}

function decompressed(response: IncomingMessage): Readable {
  const encoding = response.headers['content-encoding'];
  if (encoding === undefined) return response;
  const stream = encoding === 'gzip' ? createGunzip() : createZstdDecompress();
  response.on('error', (error) => stream.destroy(error));
  return response.pipe(stream);
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const part of response) text += part as string;
  return text;
}
