/** Frames compared with the library that clients use (S-593), and bytes that are none. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deserializeFrame, Flags, FrameTypes, serializeFrame, type Frame } from 'rsocket-core';
import {
  completeFrame,
  decodeFrame,
  errorFrame,
  FrameError,
  keepaliveFrame,
  MAX_REQUEST_N,
  payloadHeader,
  type ClientFrame,
} from './frames.ts';

const MAX_STREAM = 0x7fff_ffff;
const stream = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: MAX_STREAM }));
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const metadata = fc.option(bytes);
const mime = fc.stringMatching(/^[a-z/+.; =]{0,255}$/);
const n = fc.integer({ min: 1, max: MAX_REQUEST_N });
const flag = (name: number): fc.Arbitrary<number> => fc.constantFrom(0, name);
const flags = (...names: number[]): fc.Arbitrary<number> =>
  fc.tuple(...names.map(flag)).map((set) => set.reduce((all, each) => all | each, 0));
const withMetadata = (set: number, present: Buffer | null): number => set | (present === null ? 0 : Flags.METADATA);
const EMPTY = Buffer.alloc(0);

interface Case {
  readonly frame: Frame;
  readonly expected: ClientFrame;
}
const setups = fc
  .record({
    set: flags(Flags.LEASE, Flags.IGNORE),
    majorVersion: fc.nat(0xffff),
    minorVersion: fc.nat(0xffff),
    keepAlive: fc.nat(MAX_STREAM),
    lifetime: fc.nat(MAX_STREAM),
    metadataMimeType: mime,
    dataMimeType: mime,
    // the library writes no length for a token without bytes
    resumeToken: fc.option(bytes.filter(({ length }) => length > 0)),
    metadata,
    data: bytes,
  })
  .map(({ set, ...fields }): Case => {
    const resumes = fields.resumeToken !== null;
    const all = withMetadata(set, fields.metadata) | (resumes ? Flags.RESUME_ENABLE : 0);
    return {
      frame: { type: FrameTypes.SETUP, streamId: 0, flags: all, ...fields },
      expected: {
        type: 'setup',
        majorVersion: fields.majorVersion,
        resumes,
        leases: (set & Flags.LEASE) !== 0,
        keepaliveMs: fields.keepAlive,
        lifetimeMs: fields.lifetime,
        metadataMime: fields.metadataMimeType,
        dataMime: fields.dataMimeType,
        metadata: fields.metadata,
      },
    };
  });
const requests = fc
  .record({ set: flags(Flags.FOLLOWS, Flags.IGNORE), streamId: stream, requestN: n, metadata, data: bytes })
  .map(({ set, ...fields }): Case => ({
    frame: { type: FrameTypes.REQUEST_STREAM, flags: withMetadata(set, fields.metadata), ...fields },
    expected: {
      type: 'request stream',
      stream: fields.streamId,
      initialN: fields.requestN,
      follows: (set & Flags.FOLLOWS) !== 0,
      metadata: fields.metadata,
      data: fields.data,
    },
  }));
const payloads = fc
  .record({ set: flags(Flags.FOLLOWS, Flags.NEXT, Flags.COMPLETE), streamId: stream, metadata, data: bytes })
  .map(({ set, ...fields }): Case => ({
    frame: { type: FrameTypes.PAYLOAD, flags: withMetadata(set, fields.metadata), ...fields },
    expected: {
      type: 'payload',
      stream: fields.streamId,
      follows: (set & Flags.FOLLOWS) !== 0,
      metadata: fields.metadata,
      data: fields.data,
    },
  }));
const small = fc.oneof(
  fc.tuple(stream, n).map(([streamId, requestN]): Case => ({
    frame: { type: FrameTypes.REQUEST_N, streamId, flags: 0, requestN },
    expected: { type: 'request n', stream: streamId, n: requestN },
  })),
  stream.map((streamId): Case => ({
    frame: { type: FrameTypes.CANCEL, streamId, flags: 0 },
    expected: { type: 'cancel', stream: streamId },
  })),
  fc.tuple(flag(Flags.RESPOND), fc.nat(Number.MAX_SAFE_INTEGER), bytes).map(([set, position, data]): Case => ({
    frame: { type: FrameTypes.KEEPALIVE, streamId: 0, flags: set, lastReceivedPosition: position % 2 ** 52, data },
    expected: { type: 'keepalive', respond: set !== 0, data },
  })),
  fc.tuple(fc.nat(MAX_STREAM), fc.string()).map(([streamId, message]): Case => ({
    frame: { type: FrameTypes.ERROR, streamId, flags: 0, code: 0x201, message },
    expected: { type: 'error', stream: streamId },
  })),
);
const others = fc.oneof(
  fc
    .record({
      type: fc.constantFrom(FrameTypes.REQUEST_RESPONSE as const, FrameTypes.REQUEST_FNF as const),
      flags: flag(Flags.IGNORE),
      streamId: stream,
      data: bytes,
      metadata: fc.constant(null),
    })
    .map((frame): Case => ({ frame, expected: other(frame) })),
  fc
    .record({ flags: flag(Flags.IGNORE), streamId: stream, requestN: n, data: bytes, metadata: fc.constant(null) })
    .map((fields): Case => {
      const frame = { type: FrameTypes.REQUEST_CHANNEL as const, ...fields };
      return { frame, expected: other(frame) };
    }),
  fc.record({ flags: flag(Flags.IGNORE), metadata: bytes }).map((fields): Case => {
    const frame = { type: FrameTypes.METADATA_PUSH as const, streamId: 0 as const, ...fields };
    return { frame, expected: other(frame) };
  }),
  fc.record({ ttl: fc.nat(), requestCount: fc.nat(), metadata: bytes }).map((fields): Case => {
    const frame = { type: FrameTypes.LEASE as const, streamId: 0 as const, flags: 0, ...fields };
    return { frame, expected: other(frame) };
  }),
);
function other({ type, streamId, flags: set }: { type: number; streamId: number; flags: number }): ClientFrame {
  return { type: 'other', stream: streamId, ignorable: (set & Flags.IGNORE) !== 0, code: type };
}
const anyFrame: fc.Arbitrary<Case> = fc.oneof(setups, requests, payloads, small, others);

describe('frames of a client', () => {
  test('are read as the library wrote them', () => {
    fc.assert(
      fc.property(anyFrame, ({ frame, expected }) => {
        expect(decodeFrame(serializeFrame(frame))).toEqual(expected);
      }),
      { numRuns: 2000 },
    );
  });

  test('their parts are parts of the message, which nothing is copied from', () => {
    fc.assert(
      fc.property(anyFrame, ({ frame }) => {
        const message = serializeFrame(frame);
        for (const part of partsOf(decodeFrame(message))) {
          expect(part.buffer).toBe(message.buffer);
          expect(part.byteOffset).toBeGreaterThanOrEqual(message.byteOffset);
          expect(part.byteOffset + part.length).toBeLessThanOrEqual(message.byteOffset + message.length);
        }
      }),
    );
  });

  test.each([
    ['the first of a stream', 0],
    ['none at all', 0x8000_0000],
    ['more than there can be', 0xffff_ffff],
  ])('a request for %s payloads is refused', (_name, amount) => {
    const request = Buffer.from(serializeFrame({ type: FrameTypes.REQUEST_N, streamId: 1, flags: 0, requestN: 1 }));
    request.writeUInt32BE(amount, 6);
    expect(() => decodeFrame(request)).toThrow(FrameError);
    const first = Buffer.from(
      serializeFrame({
        type: FrameTypes.REQUEST_STREAM,
        streamId: 1,
        flags: 0,
        requestN: 1,
        data: EMPTY,
        metadata: null,
      }),
    );
    first.writeUInt32BE(amount, 6);
    expect(() => decodeFrame(first)).toThrow(FrameError);
  });

  test('types that belong to the connection or to a stream are refused where they do not', () => {
    fc.assert(
      fc.property(fc.oneof(setups, requests, payloads, small), stream, ({ frame, expected }, id) => {
        fc.pre(expected.type !== 'error');
        const message = serializeFrame(frame);
        message.writeUInt32BE(frame.streamId === 0 ? id : 0, 0);
        expect(() => decodeFrame(message)).toThrow(FrameError);
        message.writeUInt32BE(0x8000_0000 + id, 0);
        expect(() => decodeFrame(message)).toThrow(FrameError);
      }),
    );
  });
});

describe('bytes that are no frame', () => {
  /** Bytes of the test stand around the message: what is read beyond it would show. */
  const decodeWithin = (content: Uint8Array): void => {
    const around = Buffer.concat([Buffer.alloc(64, 0xee), content, Buffer.alloc(64, 0xee)]);
    const message = around.subarray(64, 64 + content.length);
    let frame: ClientFrame;
    try {
      frame = decodeFrame(message);
    } catch (error) {
      expect(error).toBeInstanceOf(FrameError);
      return;
    }
    let total = 0;
    for (const part of partsOf(frame)) {
      total += part.length;
      expect(part.byteOffset).toBeGreaterThanOrEqual(message.byteOffset);
      expect(part.byteOffset + part.length).toBeLessThanOrEqual(message.byteOffset + message.length);
    }
    expect(total).toBeLessThanOrEqual(content.length);
  };

  test('arbitrary ones', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), decodeWithin), { numRuns: 5000 });
  });

  test('arbitrary ones behind a good header', () => {
    const types = fc.constantFrom(0x01, 0x03, 0x06, 0x08, 0x09, 0x0a, 0x0b, 0x3f);
    fc.assert(
      fc.property(types, fc.nat(0x3ff), fc.nat(3), fc.uint8Array({ maxLength: 60 }), (type, set, id, rest) => {
        const header = Buffer.alloc(6);
        header.writeUInt32BE(id, 0);
        header.writeUInt16BE((type << 10) | set, 4);
        decodeWithin(Buffer.concat([header, rest]));
      }),
      { numRuns: 5000 },
    );
  });

  test('frames with bytes changed, lost or added', () => {
    const change = fc.record({ at: fc.nat(), value: fc.nat(255), kind: fc.constantFrom('set', 'cut', 'insert') });
    fc.assert(
      fc.property(anyFrame, fc.array(change, { minLength: 1, maxLength: 4 }), ({ frame }, changes) => {
        let message: Buffer = Buffer.from(serializeFrame(frame));
        for (const { at, value, kind } of changes) {
          const index = message.length === 0 ? 0 : at % message.length;
          if (kind === 'cut') message = message.subarray(0, index);
          else if (kind === 'set') message[index] = value;
          else message = Buffer.concat([message.subarray(0, index), Buffer.of(value), message.subarray(index)]);
        }
        decodeWithin(message);
      }),
      { numRuns: 5000 },
    );
  });
});

function partsOf(frame: ClientFrame): Buffer[] {
  return Object.values(frame).filter((value) => Buffer.isBuffer(value));
}

describe('frames of the service are read by the library', () => {
  test('payload, complete, error, keep-alive', () => {
    fc.assert(
      fc.property(stream, bytes, fc.integer({ min: 1, max: 0x7fff_ffff }), fc.string(), (id, data, code, message) => {
        // the library knows no difference between no data and none
        const some = data.length === 0 ? null : data;
        expect(deserializeFrame(Buffer.concat([payloadHeader(id), data]))).toEqual({
          ...{ type: FrameTypes.PAYLOAD, streamId: id, flags: Flags.NEXT, metadata: null, data: some },
        });
        expect(deserializeFrame(completeFrame(id))).toEqual({
          ...{ type: FrameTypes.PAYLOAD, streamId: id, flags: Flags.COMPLETE, metadata: null, data: null },
        });
        const text = Buffer.from(message).toString();
        expect(deserializeFrame(errorFrame(id, code, message))).toEqual({
          ...{ type: FrameTypes.ERROR, streamId: id, flags: 0, code, message: text },
        });
        expect(deserializeFrame(keepaliveFrame(data))).toEqual({
          ...{ type: FrameTypes.KEEPALIVE, streamId: 0, flags: 0, lastReceivedPosition: 0, data: some },
        });
      }),
    );
  });

  test('they are the bytes that the service before sent (wire/11)', () => {
    expect(payloadHeader(1).toString('hex')).toBe('000000012820');
    expect(completeFrame(1).toString('hex')).toBe('000000012840');
    expect(keepaliveFrame(EMPTY).toString('hex')).toBe('000000000c000000000000000000');
    expect(errorFrame(0, 3, '[PSYNC_S2101] signature verification failed').toString('hex')).toBe(
      '000000002c00000000035b5053594e435f53323130315d207369676e617475726520766572696669636174696f6e206661696c6564',
    );
  });

  test('frames that clients sent it are read (wire/11)', () => {
    const hex = (text: string): ClientFrame => decodeFrame(Buffer.from(text, 'hex'));
    expect(hex('00000001200000000005')).toEqual({ type: 'request n', stream: 1, n: 5 });
    expect(hex('000000012400')).toEqual({ type: 'cancel', stream: 1 });
    expect(hex('000000000c800000000000000000')).toEqual({ type: 'keepalive', respond: true, data: EMPTY });
    expect(
      hex('0000000004000001000000003a980001d4c0106170706c69636174696f6e2f62736f6e106170706c69636174696f6e2f62736f6e'),
    ).toEqual({
      type: 'setup',
      majorVersion: 1,
      resumes: false,
      leases: false,
      keepaliveMs: 15_000,
      lifetimeMs: 120_000,
      metadataMime: 'application/bson',
      dataMime: 'application/bson',
      metadata: null,
    });
    expect(
      hex('0000000119000000000a00001818000000027061746800090000002f6e6f7468696e67000049000000046275636b65747300'),
    ).toMatchObject({ type: 'request stream', stream: 1, initialN: 10, follows: false });
  });
});
