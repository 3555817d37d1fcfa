/** A WebSocket connection that sends just what a test says, be it allowed or not (RFC 6455). */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { inflated, readServerFrame, type ServerFrame } from './rsocket-peer.ts';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface RawFrame {
  readonly opcode: number;
  readonly isCompressed: boolean;
  readonly payload: Buffer;
}

export interface RawFrameOptions {
  readonly opcode?: number;
  /** Default true, as clients must. */
  readonly masked?: boolean;
  readonly compressed?: boolean;
  readonly final?: boolean;
  /** Bytes that the header announces; default those that follow. */
  readonly announced?: number;
}

export interface RawWebSocket {
  readonly socket: Socket;
  /** The service's answer to the handshake. */
  readonly handshake: string;
  /** Everything that is complete so far. Reading fails as soon as the bytes are no frames any more. */
  readonly frames: readonly RawFrame[];
  /** Status of the closing frame; null before it. */
  readonly closeCode: number | null;
  /** The service has closed its side, or the connection is gone. */
  readonly isOver: boolean;
  /** The messages, decompressed, as frames of RSocket. */
  messages(): ServerFrame[];
  send(payload: Buffer, options?: RawFrameOptions): void;
  /** Resolves as soon as `condition` holds; rejects after `timeoutMs` (default 5 s). */
  until(condition: () => boolean, what: string, timeoutMs?: number): Promise<void>;
  destroy(): void;
}

/** Resolves with the answer to the handshake; rejects after `timeoutMs`. */
export async function openWebSocket(endpoint: string, extensions?: string, timeoutMs?: number): Promise<RawWebSocket> {
  const { hostname, port } = new URL(endpoint);
  // half open, as a client that ignores that the service has ended
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true, noDelay: true });
  const frames: RawFrame[] = [];
  const waiting = new Set<() => void>();
  let parts: Buffer[] = [];
  let partBytes = 0;
  let needed = 0;
  let handshake = '';
  let isOver = false;
  let failure: Error | null = null;

  const check = (): void => {
    for (const waiter of waiting) waiter();
  };
  /** Bytes of the next frame are put together once it can be complete. */
  const read = (): void => {
    if (partBytes < needed) return;
    let bytes: Buffer = Buffer.concat(parts, partBytes);
    if (handshake === '') {
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) return;
      handshake = bytes.subarray(0, end).toString('latin1');
      bytes = bytes.subarray(end + 4);
    }
    for (let size = sizeOf(bytes); ; size = sizeOf(bytes)) {
      needed = size?.total ?? bytes.length + 1;
      if (size === null || bytes.length < size.total) break;
      frames.push(frameOf(bytes.subarray(0, size.total), size.header));
      bytes = bytes.subarray(size.total);
    }
    parts = [bytes];
    partBytes = bytes.length;
  };
  socket.on('data', (bytes: Buffer) => {
    parts.push(bytes);
    partBytes += bytes.length;
    try {
      read();
    } catch (error) {
      failure = error as Error;
      socket.destroy();
    }
    check();
  });
  for (const event of ['end', 'close'] as const) {
    socket.on(event, () => {
      isOver = true;
      check();
    });
  }
  socket.on('error', () => undefined);
  const until: RawWebSocket['until'] = (condition, what, timeoutMs = 5000) =>
    new Promise((resolve, reject) => {
      const stop = (): void => {
        waiting.delete(waiter);
        clearTimeout(timer);
      };
      const waiter = (): void => {
        if (failure !== null) return (stop(), reject(failure));
        try {
          if (condition()) return (stop(), resolve());
        } catch (error) {
          return (stop(), reject(error));
        }
      };
      const timer = setTimeout(() => {
        stop();
        const seen = frames.map(({ opcode, payload }) => `${opcode} (${payload.length} bytes)`).join();
        reject(new Error(`not within ${timeoutMs} ms: ${what}; frames ${seen}; ${handshake.slice(0, 300)}`));
      }, timeoutMs);
      waiting.add(waiter);
      waiter();
    });
  const closeCode = (): number | null => {
    const close = frames.find(({ opcode }) => opcode === OPCODE.close);
    return close === undefined ? null : close.payload.length < 2 ? 1005 : close.payload.readUInt16BE(0);
  };

  const lines = [
    'GET /sync/stream HTTP/1.1',
    'host: localhost',
    'upgrade: websocket',
    'connection: Upgrade',
    `sec-websocket-key: ${randomBytes(16).toString('base64')}`,
    'sec-websocket-version: 13',
    ...(extensions === undefined ? [] : [`sec-websocket-extensions: ${extensions}`]),
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  await until(() => handshake !== '' || isOver, 'the answer to the handshake', timeoutMs);
  return {
    socket,
    frames,
    get handshake() {
      return handshake;
    },
    get closeCode() {
      return closeCode();
    },
    get isOver() {
      return isOver;
    },
    messages: () =>
      frames
        .filter(({ opcode }) => opcode === OPCODE.binary)
        .map(({ payload, isCompressed }) => readServerFrame(isCompressed ? inflated(payload) : payload)),
    send: (payload, options) => void socket.write(clientFrame(payload, options)),
    until,
    destroy: () => void socket.destroy(),
  };
}

function sizeOf(bytes: Buffer): { readonly header: number; readonly total: number } | null {
  if (bytes.length < 2) return null;
  const short = bytes[1]!;
  const header = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < header) return null;
  const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  return { header, total: header + length };
}

function frameOf(bytes: Buffer, header: number): RawFrame {
  const [first, second] = [bytes[0]!, bytes[1]!];
  const opcode = first & 0x0f;
  if ((first & 0xb0) !== 0x80 || (second & 0x80) !== 0 || !Object.values<number>(OPCODE).includes(opcode))
    throw new Error(`not a frame of a server: ${bytes.subarray(0, 20).toString('hex')}`);
  return { opcode, isCompressed: (first & 0x40) !== 0, payload: bytes.subarray(header) };
}

/** One frame as a client sends it. */
export function clientFrame(payload: Buffer, options: RawFrameOptions = {}): Buffer {
  const { opcode = OPCODE.binary, masked = true, compressed = false, final = true } = options;
  const length = options.announced ?? payload.length;
  const header = Buffer.alloc(length < 126 ? 2 : length <= 0xffff ? 4 : 10);
  header[0] = (final ? 0x80 : 0) | (compressed ? 0x40 : 0) | opcode;
  header[1] = (masked ? 0x80 : 0) | (length < 126 ? length : length <= 0xffff ? 126 : 127);
  if (length >= 126 && length <= 0xffff) header.writeUInt16BE(length, 2);
  else if (length > 0xffff) header.writeBigUInt64BE(BigInt(length), 2);
  if (!masked) return Buffer.concat([header, payload]);
  const mask = randomBytes(4);
  const hidden = Buffer.from(payload);
  for (let at = 0; at < hidden.length; at++) hidden[at]! ^= mask[at % 4]!;
  return Buffer.concat([header, mask, hidden]);
}
