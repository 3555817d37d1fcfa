/** A TCP connection that sends just what a test says, be it a request or not. */
import { connect, type Socket } from 'node:net';

export interface RawConnection {
  readonly socket: Socket;
  /** Everything that came, one character a byte. */
  readonly received: string;
  /** The service has closed its side, or the connection is gone. */
  readonly isOver: boolean;
  send(text: string | Buffer): void;
  /** Resolves as soon as `condition` holds; rejects after `timeoutMs` (default 5 s). */
  until(condition: (received: string) => boolean, what: string, timeoutMs?: number): Promise<void>;
  /** The first answer, complete with its body; resolves as soon as it is. `head`: it has no body. */
  answer(options?: { readonly head?: boolean; readonly timeoutMs?: number }): Promise<RawAnswer>;
  /** Resolves when the connection is over. */
  over(timeoutMs?: number): Promise<void>;
  destroy(): void;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** The member `error` of a JSON body. */
  readonly error: { readonly code?: string; readonly status?: number; readonly [name: string]: unknown };
}

export async function openConnection(endpoint: string): Promise<RawConnection> {
  const { hostname, port } = new URL(endpoint);
  // Half open, as a client that ignores that the service has ended.
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  const parts: Buffer[] = [];
  let text: string | null = null;
  let isOver = false;
  const waiting = new Set<() => void>();
  const check = (): void => {
    for (const waiter of waiting) waiter();
  };
  socket.on('data', (bytes: Buffer) => {
    parts.push(bytes);
    text = null;
    check();
  });
  for (const event of ['end', 'close'] as const) {
    socket.on(event, () => {
      isOver = true;
      check();
    });
  }
  socket.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  const received = (): string => (text ??= Buffer.concat(parts).toString('latin1'));
  const until: RawConnection['until'] = (condition, what, timeoutMs = 5000) =>
    new Promise((resolve, reject) => {
      const stop = (): void => {
        waiting.delete(waiter);
        clearTimeout(timer);
      };
      const waiter = (): void => {
        if (!condition(received())) return;
        stop();
        resolve();
      };
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`not within ${timeoutMs} ms: ${what}; received ${JSON.stringify(received().slice(0, 2000))}`));
      }, timeoutMs);
      waiting.add(waiter);
      waiter();
    });

  return {
    socket,
    get received() {
      return received();
    },
    get isOver() {
      return isOver;
    },
    send: (bytes) => void socket.write(bytes),
    until,
    async answer({ head = false, timeoutMs } = {}) {
      await until((all) => readAnswer(all, head) !== null || isOver, 'an answer', timeoutMs);
      const answer = readAnswer(received(), head);
      if (answer === null) throw new Error(`closed without an answer: ${JSON.stringify(received())}`);
      return answer;
    },
    over: (timeoutMs) => until(() => isOver, 'the end of the connection', timeoutMs),
    destroy: () => void socket.destroy(),
  };
}

function readAnswer(all: string, head: boolean): RawAnswer | null {
  const received = all.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '');
  const end = received.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [first = '', ...lines] = received.slice(0, end).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const length = head ? 0 : Number(headers.get('content-length') ?? 0);
  const body = received.slice(end + 4, end + 4 + length);
  if (body.length < length) return null;
  let error = {};
  try {
    error = (JSON.parse(body) as { error?: object }).error ?? {};
  } catch {
    // The body is no JSON: the test sees it in `body`.
  }
  return { status, headers, body, error };
}

/** The text of a request with a token; `headers` with null leave one out. */
export function requestText(
  method: string,
  path: string,
  body: string | null = null,
  headers: Readonly<Record<string, string | null>> = {},
): string {
  const all: Record<string, string | null> = {
    host: 'localhost',
    authorization: 'Token u1',
    ...(body === null ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}`]));
  return `${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body ?? ''}`;
}

/** The text of a `POST /sync/stream`. */
export const streamRequest = (body: unknown = {}, headers?: Readonly<Record<string, string | null>>): string =>
  requestText('POST', '/sync/stream', typeof body === 'string' ? body : JSON.stringify(body), headers);
