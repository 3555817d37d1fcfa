/**
 * Messages of the server in WebSocket framing (RFC 6455, 5.2: one frame, not masked). They are made once per line: for all clients that have
 * the same stream id, which is every one that is served the usual way.
 */
import type { EncodedLine } from '#core/protocol/lines.ts';
import { joined, shareBursts, type Burst } from '../connection/bursts.ts';
import { deflateLine, storedBlock, STORED_BYTES } from '../deflate/lines.ts';
import { ownBuffer } from '../own-buffer.ts';
import { payloadHeader } from './frames.ts';

export type Message = Burst;

const FINAL_BINARY = 0x82;
const PONG = 0x8a;
/** The message is compressed (RFC 7692, 6). */
const COMPRESSED = 0x40;
const MAX_SHORT = 125;

/** What stands before the bytes of a message. */
export function frameHeader(length: number, compressed: boolean): Buffer {
  const first = FINAL_BINARY | (compressed ? COMPRESSED : 0);
  if (length <= MAX_SHORT) return Buffer.of(first, length);
  const header = Buffer.alloc(length <= 0xffff ? 4 : 10);
  header[0] = first;
  header[1] = length <= 0xffff ? 126 : 127;
  if (length <= 0xffff) header.writeUInt16BE(length, 2);
  else header.writeBigUInt64BE(BigInt(length), 2);
  return header;
}

/** A frame of the protocol as a message. */
export function messageOf(frame: Buffer): Message {
  const head = frameHeader(frame.length, false);
  return { buffers: [head, frame], bytes: head.length + frame.length };
}

/** The answer to a ping, with its data of at most 125 bytes (RFC 6455, 5.5.3). */
export function pongMessage(data: Buffer): Message {
  return { buffers: [Buffer.of(PONG, data.length), data], bytes: 2 + data.length };
}

interface Made {
  readonly stream: number;
  readonly message: Message;
}
const plain = new WeakMap<EncodedLine, Made>();
const compressed = new WeakMap<EncodedLine, Made>();

/** A line as the payload of a stream. */
export function plainMessage(line: EncodedLine, stream: number): Message {
  const known = plain.get(line);
  if (known !== undefined && known.stream === stream) return known.message;
  const payload = payloadHeader(stream);
  const head = frameHeader(payload.length + line.bytes, false);
  // Kept with the line: not in a slab of memory that it would keep as well (G9).
  const lead = ownBuffer(Buffer.concat([head, payload]));
  const message = { buffers: [lead, ...line.parts], bytes: lead.length + line.bytes };
  plain.set(line, { stream, message });
  return message;
}

/** What a client that accepts compressed messages can get at once; null: it has yet to be compressed. */
function readyMessage(line: EncodedLine, stream: number): Message | null {
  if (line.bytes < STORED_BYTES) return plainMessage(line, stream);
  const known = compressed.get(line);
  return known?.stream === stream ? known.message : null;
}

/** A line compressed for a client that accepts it: without context, so that it is the same for all of them. Small ones stay as they are. */
export function compressedMessage(line: EncodedLine, stream: number): Message | Promise<Message> {
  const ready = readyMessage(line, stream);
  if (ready !== null) return ready;
  const deflated = deflateLine(line);
  const make = (blocks: Buffer): Message => {
    // others waited for the same blocks
    const made = readyMessage(line, stream);
    if (made !== null) return made;
    // the header is not worth a block of its own kind; the last four bytes are those that the client adds again (RFC 7692, 7.2.1)
    const lead = storedBlock(payloadHeader(stream));
    const body = blocks.subarray(0, blocks.length - 4);
    const head = frameHeader(lead.length + body.length, true);
    const first = ownBuffer(Buffer.concat([head, lead]));
    const message = { buffers: [first, body], bytes: first.length + body.length };
    compressed.set(line, { stream, message });
    return message;
  };
  return Buffer.isBuffer(deflated) ? make(deflated) : deflated.then(make);
}

/** Lines as the payloads of a stream, in one write. */
export const burstOf = shareBursts((lines, stream) => joined(lines.map((line) => plainMessage(line, stream))));

/** The same for a client that accepts compressed messages; null when there is one that has yet to be compressed. */
export const compressedBurstOf = shareBursts((lines, stream) => {
  const messages: Message[] = [];
  for (const line of lines) {
    const ready = readyMessage(line, stream);
    if (ready === null) return null;
    messages.push(ready);
  }
  return joined(messages);
});
