import type { Socket } from 'node:net';
import type pg from 'pg';
import { malformed } from './pgoutput.ts';
import { socketOf } from './connect.ts';

/**
 * The copy modes of Postgres' protocol on the socket of an idle `pg` client: what the server copies out is handed on inside the
 * received buffer, without a message object per row. The client must not be used for queries afterwards; ending it is still its own
 * business.
 */
export interface CopyChannel {
  /**
   * Runs a statement that copies out (`COPY … TO STDOUT`, `START_REPLICATION …`) to its end. Rejects with the server's error
   * (`severity`, `code`, `message` as of `pg`), with a socket error, or with what a handler threw; then the channel is of no more use.
   */
  run(statement: string, handlers: CopyHandlers): Promise<void>;
  /** Sends a CopyData message (copy-both mode). */
  send(payload: Uint8Array): void;
  /** Tells the server that no more is wanted, in copy-both mode. */
  finish(): void;
  /** Ends a running statement on our side: it rejects, and what still arrives is thrown away. */
  abandon(): void;
  /** Milliseconds (`performance.now`) when bytes last arrived. */
  readonly lastReceived: number;
  /** A handler's promise is pending: the socket is not being read. */
  readonly held: boolean;
}

export interface CopyHandlers {
  /** One CopyData message. The bytes are only valid during the call; a returned promise holds the channel back. */
  data(bytes: Buffer, start: number, end: number): void | Promise<void>;
  /** The server accepted the statement. */
  begun?(): void;
  /** Everything received was handed on, and nothing more is waiting in the system. */
  idle?(): void | Promise<void>;
}

/** No message of the server is longer: Postgres' limit for a value is 1 GB. */
const longestMessage = 0x4000_0000 + 65_536;

const messageTypes = {
  copyData: 0x64,
  copyDone: 0x63,
  commandComplete: 0x43,
  ready: 0x5a,
  error: 0x45,
  copyOut: 0x48,
  copyBoth: 0x57,
} as const;

export function createCopyChannel(client: pg.Client): CopyChannel {
  const socket = socketOf(client);
  // From here on the messages are ours. The client is idle: its parser holds nothing.
  socket.removeAllListeners('data');
  socket.pause();
  const reader = createFrameReader();
  let current: { handlers: CopyHandlers; settle: (error: unknown) => void; failure: unknown } | null = null;
  let held = false;
  let abandoned = false;
  let lastReceived = performance.now();
  let idleCheck: NodeJS.Immediate | null = null;

  const end = (error: unknown): void => {
    const running = current;
    current = null;
    socket.pause();
    running?.settle(error);
  };
  const hold = (promise: Promise<void>): void => {
    held = true;
    socket.pause();
    promise.then(
      () => {
        held = false;
        proceed();
      },
      (error: unknown) => {
        held = false;
        end(error);
      },
    );
  };
  /** Handles complete messages until they are used up, a handler wants time, or the statement ends. */
  const proceed = (): void => {
    try {
      while (current !== null && !held) {
        const frame = reader.next();
        if (frame === null) break;
        const promise = handle(frame.type, frame.bytes, frame.start, frame.end);
        if (promise !== undefined) return hold(promise);
      }
    } catch (error) {
      return end(error);
    }
    if (current === null || held) return;
    socket.resume();
    if (current.handlers.idle !== undefined) idleCheck ??= setImmediate(checkIdle);
  };
  /** Runs after the event loop has looked for input once more. */
  const checkIdle = (): void => {
    idleCheck = null;
    if (current === null || held) return;
    try {
      const promise = current.handlers.idle?.();
      if (promise !== undefined) hold(promise);
    } catch (error) {
      end(error);
    }
  };
  const handle = (type: number, bytes: Buffer, start: number, stop: number): void | Promise<void> => {
    const running = current!;
    switch (type) {
      case messageTypes.copyData:
        return running.handlers.data(bytes, start, stop);
      case messageTypes.copyOut:
      case messageTypes.copyBoth:
        return running.handlers.begun?.();
      case messageTypes.error:
        running.failure = readServerError(bytes, start, stop);
        // A fatal one is followed by the end of the connection, not by ReadyForQuery.
        if ((running.failure as { severity: string }).severity !== 'ERROR') end(running.failure);
        return;
      case messageTypes.ready:
        return end(running.failure);
      default:
        // CopyDone, CommandComplete, notices and parameters.
        return;
    }
  };

  socket.on('data', (chunk: Buffer) => {
    lastReceived = performance.now();
    if (abandoned) return;
    if (idleCheck !== null) {
      clearImmediate(idleCheck);
      idleCheck = null;
    }
    reader.push(chunk);
    if (!held) proceed();
  });
  const ended = (error?: unknown): void =>
    end(error instanceof Error ? error : (current?.failure ?? new Error('Connection terminated unexpectedly')));
  socket.on('error', ended);
  socket.on('close', () => ended());
  socket.on('end', () => ended());

  return {
    run(statement, handlers) {
      return new Promise((resolve, reject) => {
        if (current !== null) return reject(malformed('second statement on one channel'));
        if (socket.destroyed || abandoned) return reject(new Error('Connection terminated unexpectedly'));
        current = {
          handlers,
          failure: undefined,
          settle: (error) => (error === undefined ? resolve() : reject(error)),
        };
        socket.write(queryMessage(statement));
        socket.resume();
      });
    },
    send: (payload) => void writable(socket)?.write(copyDataMessage(payload)),
    finish: () => void writable(socket)?.write(Buffer.from([messageTypes.copyDone, 0, 0, 0, 4])),
    abandon() {
      abandoned = true;
      end(new Error('connection ended: abandoned'));
      // So that the end of the connection is noticed.
      socket.resume();
    },
    get lastReceived() {
      return lastReceived;
    },
    get held() {
      return held;
    },
  };
}

function writable(socket: Socket): Socket | null {
  return socket.destroyed || !socket.writable ? null : socket;
}

function queryMessage(statement: string): Buffer {
  const length = Buffer.byteLength(statement);
  const message = Buffer.alloc(length + 6);
  message[0] = 0x51;
  message.writeInt32BE(length + 5, 1);
  message.write(statement, 5);
  return message;
}

function copyDataMessage(payload: Uint8Array): Buffer {
  const message = Buffer.allocUnsafe(payload.length + 5);
  message[0] = messageTypes.copyData;
  message.writeInt32BE(payload.length + 4, 1);
  message.set(payload, 5);
  return message;
}

/** One message: its type, and where its body lies. */
interface Frame {
  type: number;
  bytes: Buffer;
  start: number;
  end: number;
}

interface FrameReader {
  push(chunk: Buffer): void;
  /** The next complete message, or null. The same object each time. */
  next(): Frame | null;
}

/**
 * Cuts received chunks into messages without copying, except those messages that lie in several chunks. Exported for tests.
 */
export function createFrameReader(): FrameReader {
  const frame: Frame = { type: 0, bytes: Buffer.alloc(0), start: 0, end: 0 };
  const header = Buffer.alloc(5);
  let headerFilled = 0;
  /** A message in several chunks. */
  let body: Buffer | null = null;
  let bodyFilled = 0;
  const chunks: Buffer[] = [];
  let chunk: Buffer | null = null;
  let at = 0;

  const bodyLength = (bytes: Buffer, offset: number): number => {
    const length = bytes.readUInt32BE(offset);
    if (length < 4 || length > longestMessage) throw malformed('message of impossible length');
    return length - 4;
  };
  const nextChunk = (): boolean => {
    if (chunk !== null && at < chunk.length) return true;
    chunk = chunks.shift() ?? null;
    at = 0;
    return chunk !== null;
  };
  const found = (type: number, bytes: Buffer, start: number, end: number): Frame => {
    frame.type = type;
    frame.bytes = bytes;
    frame.start = start;
    frame.end = end;
    return frame;
  };

  return {
    push(received) {
      if (received.length > 0) chunks.push(received);
    },
    next() {
      while (nextChunk()) {
        const bytes = chunk!;
        const left = bytes.length - at;
        if (body !== null) {
          const copied = bytes.copy(body, bodyFilled, at, at + body.length - bodyFilled);
          bodyFilled += copied;
          at += copied;
          if (bodyFilled < body.length) continue;
          const whole = body;
          body = null;
          headerFilled = 0;
          return found(header[0]!, whole, 0, whole.length);
        }
        if (headerFilled === 0 && left >= 5) {
          const length = bodyLength(bytes, at + 1);
          if (left >= length + 5) {
            const start = at + 5;
            at = start + length;
            return found(bytes[start - 5]!, bytes, start, at);
          }
        }
        const copied = bytes.copy(header, headerFilled, at, at + 5 - headerFilled);
        headerFilled += copied;
        at += copied;
        if (headerFilled < 5) continue;
        body = Buffer.allocUnsafe(bodyLength(header, 1));
        bodyFilled = 0;
        if (body.length === 0) {
          body = null;
          headerFilled = 0;
          return found(header[0]!, header, 5, 5);
        }
      }
      return null;
    },
  };
}

/** An error in the form that `pg` gives it, with the fields that may be shown. */
function readServerError(bytes: Buffer, start: number, end: number): Error {
  const fields = new Map<string, string>();
  let at = start;
  while (at < end && bytes[at] !== 0) {
    const zero = bytes.indexOf(0, at + 1);
    if (zero === -1 || zero >= end) break;
    fields.set(String.fromCharCode(bytes[at]!), bytes.toString('utf8', at + 1, zero));
    at = zero + 1;
  }
  // V is the severity in English, whatever lc_messages says.
  const severity = fields.get('V') ?? fields.get('S') ?? 'ERROR';
  return Object.assign(new Error(fields.get('M') ?? 'unknown error'), { severity, code: fields.get('C') ?? '' });
}
