/** WebSocket framing (RFC 6455, 5.2) and compression of messages (RFC 7692), against Node's zlib and the client of `ws`. */
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { EncodedLine } from '#core/protocol/lines.ts';
import { inflated } from '../testing/rsocket-peer.ts';
import { payloadHeader } from './frames.ts';
import {
  compressedMessage,
  frameHeader,
  messageOf,
  plainMessage,
  pongMessage,
  type Message,
} from './websocket-frames.ts';

const lineOf = (...parts: Buffer[]): EncodedLine => ({
  parts,
  bytes: parts.reduce((sum, { length }) => sum + length, 0),
  operations: 0,
});
/** Bytes that look random, and always the same ones. */
const noise = (length: number, seed: number): Buffer => {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0, state = seed | 1; at < length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state;
  }
  return bytes;
};
const length = fc.oneof(fc.nat(600), fc.nat(40_000), fc.integer({ min: 60_000, max: 200_000 }));
const part = fc.tuple(length, fc.nat(), fc.constantFrom('noise', 'text', 'zeros')).map(([size, seed, kind]) => {
  if (kind === 'noise') return noise(size, seed);
  return kind === 'zeros' ? Buffer.alloc(size) : Buffer.alloc(size, `{"id":"${seed}","name":"of a row"},`);
});
const line = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => lineOf(...parts));
const stream = fc.constantFrom(1, 3, 0x7fff_ffff);

interface Parsed {
  readonly first: number;
  readonly payload: Buffer;
}
/** Reads one frame; throws unless the message is exactly that. */
function parse(message: Message): Parsed {
  const bytes = Buffer.concat(message.buffers);
  expect(message.bytes).toBe(bytes.length);
  const second = bytes[1]!;
  expect(second & 0x80, 'a server does not mask').toBe(0);
  const [start, size] =
    second < 126 ? [2, second] : second === 126 ? [4, bytes.readUInt16BE(2)] : [10, Number(bytes.readBigUInt64BE(2))];
  // the shortest form that there is
  expect(start).toBe(size <= 125 ? 2 : size <= 0xffff ? 4 : 10);
  expect(bytes.length).toBe(start + size);
  return { first: bytes[0]!, payload: bytes.subarray(start) };
}
const contentOf = (id: number, { parts }: EncodedLine): Buffer => Buffer.concat([payloadHeader(id), ...parts]);
const sameBytes = (a: Buffer, b: Buffer): void => expect(a.equals(b), `${a.length} and ${b.length} bytes`).toBe(true);

describe('the header of a frame', () => {
  test.each([
    [0, '8200'],
    [1, '8201'],
    [125, '827d'],
    [126, '827e007e'],
    [127, '827e007f'],
    [65_535, '827effff'],
    [65_536, '827f0000000000010000'],
    [2 ** 32 - 1, '827f00000000ffffffff'],
    [2 ** 32, '827f0000000100000000'],
    [Number.MAX_SAFE_INTEGER, '827f001fffffffffffff'],
  ])('%d bytes', (size, expected) => {
    expect(frameHeader(size, false).toString('hex')).toBe(expected);
    expect(frameHeader(size, true).toString('hex')).toBe(`c2${expected.slice(2)}`);
  });

  test('a pong has the data of its ping', () => {
    expect(parse(pongMessage(Buffer.from('data')))).toEqual({ first: 0x8a, payload: Buffer.from('data') });
    expect(parse(pongMessage(Buffer.alloc(125, 1))).payload).toHaveLength(125);
  });
});

describe('messages that are not compressed', () => {
  test('are the line behind the header of a PAYLOAD', () => {
    fc.assert(
      fc.property(stream, line, (id, content) => {
        const { first, payload } = parse(plainMessage(content, id));
        expect(first).toBe(0x82);
        sameBytes(payload, contentOf(id, content));
      }),
    );
  });

  test('other frames', () => {
    expect(parse(messageOf(Buffer.from('frame')))).toEqual({ first: 0x82, payload: Buffer.from('frame') });
  });
});

describe('compressed messages', () => {
  test('are what RFC 7692 (7.2.2) says how to read', async () => {
    await fc.assert(
      fc.asyncProperty(stream, line, async (id, content) => {
        const { first, payload } = parse(await compressedMessage(content, id));
        const isCompressed = content.bytes >= 256;
        expect(first).toBe(isCompressed ? 0xc2 : 0x82);
        const read = isCompressed ? inflated(payload) : payload;
        sameBytes(read, contentOf(id, content));
      }),
      { numRuns: 150 },
    );
  });

  test('are much smaller where something repeats', async () => {
    const { bytes } = await compressedMessage(lineOf(Buffer.alloc(100_000, '{"name":"of a row"},')), 1);
    expect(bytes).toBeLessThan(2000);
  });

  test('the client of ws reads many on one connection, some of them not compressed', { timeout: 60_000 }, async () => {
    const server = createServer();
    const handshake = new WebSocketServer({ noServer: true, perMessageDeflate: { serverNoContextTakeover: true } });
    const accepted = new Promise<Socket>((resolve) => {
      server.on('upgrade', (request, socket, head) =>
        handshake.handleUpgrade(request, socket, head, () => resolve(socket as Socket)),
      );
    });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const received: Buffer[] = [];
    const waiting: (() => void)[] = [];
    client.on('message', (message: Buffer) => {
      received.push(message);
      for (const wake of waiting.splice(0)) wake();
    });
    const failed = new Promise<never>((_, reject) => void client.on('error', reject));
    failed.catch(() => undefined);
    const socket = await accepted;
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(line, fc.boolean()), { minLength: 1, maxLength: 6 }), async (lines) => {
          received.length = 0;
          for (const [content, isCompressed] of lines) {
            const message = isCompressed ? await compressedMessage(content, 1) : plainMessage(content, 1);
            for (const buffer of message.buffers) socket.write(buffer);
          }
          while (received.length < lines.length)
            await Promise.race([new Promise<void>((wake) => void waiting.push(wake)), failed]);
          for (const [index, [content]] of lines.entries()) sameBytes(received[index]!, contentOf(1, content));
        }),
        { numRuns: 40 },
      );
    } finally {
      client.terminate();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});

describe('clients that get the same line share its buffers', () => {
  const LARGE = Buffer.alloc(300_000, '{"name":"of a row"},');
  test.each([
    ['small', Buffer.alloc(100, 'a')],
    ['compressed at once', Buffer.alloc(5000, 'abc')],
    ['compressed on another thread', LARGE],
  ])('%s', async (_name, bytes) => {
    for (const make of [plainMessage, compressedMessage]) {
      const content = lineOf(bytes);
      // asked for before the first is ready
      const both = await Promise.all([make(content, 1), make(content, 1)]);
      const later = await make(content, 1);
      for (const message of both) {
        expect(message.buffers).toBe(later.buffers);
        expect(message).toBe(later);
      }
    }
  });

  test('one with another stream id gets its own, and the others what is theirs', async () => {
    for (const make of [plainMessage, compressedMessage]) {
      const content = lineOf(LARGE);
      const read = async (id: number): Promise<void> => {
        const { first, payload } = parse(await make(content, id));
        const isCompressed = (first & 0x40) !== 0;
        sameBytes(isCompressed ? inflated(payload) : payload, contentOf(id, content));
      };
      await Promise.all([read(1), read(3), read(1)]);
      await read(3);
      await read(1);
    }
  });

  test('what is kept with a line has memory of its own (G9)', async () => {
    for (const make of [plainMessage, compressedMessage]) {
      for (const bytes of [Buffer.alloc(100, 'a'), LARGE]) {
        const [lead] = (await make(lineOf(bytes), 1)).buffers;
        expect(lead!.buffer.byteLength).toBeLessThanOrEqual(2 * lead!.length);
      }
    }
  });
});
