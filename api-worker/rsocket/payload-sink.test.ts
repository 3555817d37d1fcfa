/** A sync stream as payloads: credit (S-598), order, the end, and a client that asks for nothing more (S-615). */
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createFakeClock, type FakeClock } from '#core/platform/clock.ts';
import type { EncodedLine } from '#core/protocol/lines.ts';
import { HIGH_WATER_BYTES } from '../connection/socket-writer.ts';
import { eventually } from '../testing/direct-session.ts';
import { createRecordingWriter, type RecordingWriter } from '../testing/recording-writer.ts';
import { MAX_REQUEST_N } from './frames.ts';
import { createPayloadSink, type PayloadSink } from './payload-sink.ts';
import { compressedMessage } from './websocket-frames.ts';

/** Ready later, as what is compressed on another thread. */
const LARGE = 40_000;
const lineOf = (text: string, bytes = text.length): EncodedLine => {
  const part = Buffer.from(text.padEnd(bytes, '.'));
  return { parts: [part], bytes: part.length, operations: 0 };
};
const lines = (...texts: string[]): EncodedLine[] => texts.map((text) => lineOf(text));

/** Lines for which there is no memory. */
const uncompressible = vi.hoisted(() => new Set<unknown>());
vi.mock('../deflate/lines.ts', async (load) => {
  const original = await load<typeof import('../deflate/lines.ts')>();
  const deflateLine: typeof original.deflateLine = (line) =>
    uncompressible.has(line)
      ? Promise.reject(new Error('no memory'))
      : line.bytes < LARGE
        ? original.deflateLine(line)
        : turn().then(() => original.deflateLine(line));
  return { ...original, deflateLine };
});

let clock: FakeClock;
let writer: RecordingWriter;
let events: string[];
beforeEach(() => {
  clock = createFakeClock();
  writer = createRecordingWriter();
  events = [];
});
afterEach(() => {
  if (clock.waiting > 0) throw new Error('a timer is left');
});

function create(initialN: number, compresses = false, stream = 1): PayloadSink {
  const sink = createPayloadSink({
    ...{ stream, initialN, compresses, writer, clock },
    onEnd: (error) => void events.push(error === null ? 'complete' : `error ${(error as Error).message}`),
    onAbort: () => void events.push('abort'),
  });
  sink.listen({ drained: () => void events.push('drained'), closed: () => void events.push('closed') });
  return sink;
}
const received = (): string[] =>
  writer.frames.map((frame) => (frame.kind === 'line' ? frame.data.toString().replace(/\.+$/, '') : frame.kind));

describe('credit', () => {
  test('1: a line, and each further one when it was asked for', () => {
    const sink = create(1);
    sink.send(lines('a', 'b', 'c'));
    expect(received()).toEqual(['a']);
    expect(sink.writable()).toBe(false);
    sink.request(1);
    expect(received()).toEqual(['a', 'b']);
    expect(events).toEqual([]);
    sink.request(1);
    expect(received()).toEqual(['a', 'b', 'c']);
    // all is sent, but another line would have to wait
    expect(sink.writable()).toBe(false);
    expect(events).toEqual([]);
    sink.request(1);
    expect(events).toEqual(['drained']);
    expect(sink.writable()).toBe(true);
  });

  test('10: topped up while lines are sent, nothing waits', () => {
    const sink = create(10);
    for (let index = 0; index < 50; index++) {
      expect(sink.writable()).toBe(true);
      sink.send(lines(`${index}`));
      sink.request(1);
    }
    expect(received()).toHaveLength(50);
  });

  test('no more than the protocol knows, however much is asked for', () => {
    const sink = create(MAX_REQUEST_N);
    for (let index = 0; index < 10; index++) sink.request(MAX_REQUEST_N);
    sink.send(lines('a', 'b'));
    expect(received()).toEqual(['a', 'b']);
    expect(sink.writable()).toBe(true);
  });

  test.each([false, true])('is never exceeded, and the order is kept (compressed: %s)', async (compresses) => {
    const step = fc.oneof(
      fc.array(fc.constantFrom(10, 300, LARGE), { minLength: 1, maxLength: 5 }).map((sizes) => ({ send: sizes })),
      fc.integer({ min: 1, max: 6 }).map((n) => ({ request: n })),
      fc.constant({ turn: true }),
    );
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 10 }), fc.array(step, { maxLength: 30 }), async (initialN, steps) => {
        writer = createRecordingWriter();
        events = [];
        const sink = create(initialN, compresses);
        let credit = initialN;
        let next = 0;
        for (const action of steps) {
          if ('send' in action) sink.send(action.send.map((bytes) => lineOf(`line ${next++} `, bytes)));
          else if ('request' in action) sink.request(((credit += action.request), action.request));
          else await new Promise((resolve) => setImmediate(resolve));
          expect(received().length).toBeLessThanOrEqual(credit);
        }
        const due = Math.min(credit, next);
        await eventually(() => received().length >= due, 'all that was asked for');
        expect(received()).toEqual(Array.from({ length: due }, (_, index) => `line ${index} `));
        sink.request(next + 1);
        sink.end();
        await eventually(() => events.includes('complete'), 'the end');
        expect(received()).toHaveLength(next);
      }),
      { numRuns: compresses ? 60 : 200 },
    );
  });
});

describe('a burst of lines', () => {
  test.each([false, true])('is one write as soon as its messages are known (compressed: %s)', (compresses) => {
    const burst = [lineOf('a'), lineOf('b', 2000), lineOf('c')];
    create(10, compresses).send(burst);
    const before = writer.writes;
    create(10, compresses).send([...burst]);
    expect(received()).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
    expect(writer.writes).toBe(before + 1);
  });

  test('each client gets its own lines, in its own stream, whatever the clients before got', async () => {
    const pool = [5, 50, 2000, 3000, 40_000].map((bytes, index) => lineOf(`line ${index} `, bytes));
    const client = fc.record({
      stream: fc.constantFrom(1, 3),
      compresses: fc.boolean(),
      which: fc.array(fc.nat(pool.length - 1), { minLength: 1, maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(client, { maxLength: 12 }), async (clients) => {
        for (const { stream, compresses, which } of clients) {
          writer = createRecordingWriter();
          create(10, compresses, stream).send(which.map((index) => pool[index]!));
          await eventually(() => writer.frames.length === which.length, 'its lines');
          expect(received()).toEqual(which.map((index) => `line ${index} `));
          expect(writer.frames.every((frame) => frame.kind === 'line' && frame.stream === stream)).toBe(true);
        }
      }),
    );
  });
});

describe('lines that are compressed on another thread', () => {
  test('come before smaller ones that were ready earlier', async () => {
    const sink = create(10, true);
    sink.send([lineOf('large', LARGE), lineOf('small'), lineOf('larger', 2 * LARGE), lineOf('last')]);
    expect(received()).toEqual([]);
    await eventually(() => received().length === 4, 'all of them');
    expect(received()).toEqual(['large', 'small', 'larger', 'last']);
  });

  test('count as waiting until they are written (G9)', async () => {
    const sink = create(100, true);
    for (let index = 0; index < 6; index++) sink.send([lineOf(`${index}`, LARGE)]);
    expect(sink.writable()).toBe(true);
    sink.send([lineOf('6', LARGE)]);
    expect(7 * LARGE).toBeGreaterThan(HIGH_WATER_BYTES);
    expect(sink.writable()).toBe(false);
    await eventually(() => events.includes('drained'), 'room');
    expect(sink.writable()).toBe(true);
    await eventually(() => received().length === 7, 'all of them');
  });

  test('are followed by the end', async () => {
    const sink = create(10, true);
    sink.send([lineOf('large', LARGE)]);
    sink.end();
    expect(events).toEqual([]);
    await eventually(() => events.length > 0, 'the end');
    expect([received(), events]).toEqual([['large'], ['complete']]);
  });

  test('are dropped when the client cancels meanwhile', async () => {
    const sink = create(10, true);
    const line = lineOf('large', LARGE);
    sink.send([line]);
    sink.close();
    const other = create(10, true);
    other.send([line]);
    await eventually(() => received().length > 0, 'the line of the next stream');
    expect(received()).toEqual(['large']);
    other.close();
  });

  test('that cannot be compressed cut the stream: nothing is sent in spite of a gap', async () => {
    const sink = create(10, true);
    const [lost, next] = [lineOf('lost', LARGE), lineOf('next', LARGE)];
    uncompressible.add(lost);
    sink.send([lost, next, lineOf('last')]);
    await eventually(() => events.length > 0, 'the end');
    await compressedMessage(next, 1);
    await new Promise((resolve) => setImmediate(resolve));
    sink.send(lines('more'));
    expect([received(), events]).toEqual([[], ['abort']]);
    // the connection is gone then, and the session hears of it
    sink.close();
    expect(events).toEqual(['abort', 'closed']);
  });
});

describe('a client that does not take what was sent', () => {
  test('is not sent more, however much it asked for', () => {
    const sink = create(100);
    writer.now.waitingBytes = HIGH_WATER_BYTES;
    expect(sink.writable()).toBe(false);
    sink.progress();
    expect(events).toEqual([]);
    writer.now.waitingBytes = HIGH_WATER_BYTES - 1;
    sink.progress();
    expect(events).toEqual(['drained']);
    // told once
    sink.progress();
    expect(events).toEqual(['drained']);
  });

  test('stalls since the connection does', () => {
    const sink = create(10);
    expect(sink.stalledSince()).toBe(null);
    writer.now.stalledSince = 17;
    expect(sink.stalledSince()).toBe(17);
  });
});

describe('a client that asks for nothing more', () => {
  test('stalls since a line waits for it', async () => {
    const sink = create(2);
    await clock.advance(1000);
    sink.send(lines('a', 'b'));
    expect(sink.stalledSince()).toBe(null);
    await clock.advance(1000);
    sink.send(lines('c'));
    await clock.advance(5000);
    expect(sink.stalledSince()).toBe(2000);
  });

  test('further lines do not hide it: keep-alives come all the time (S-582)', async () => {
    const sink = create(1);
    sink.send(lines('a', 'b'));
    for (let round = 0; round < 5; round++) {
      await clock.advance(20_000);
      sink.send(lines('keep-alive'));
    }
    expect(sink.stalledSince()).toBe(0);
  });

  test('a request ends it, as long as more is asked for', async () => {
    const sink = create(1);
    sink.send(lines('a', 'b', 'c'));
    await clock.advance(50_000);
    sink.request(1);
    expect(sink.stalledSince()).toBe(50_000);
    sink.request(1);
    expect(sink.stalledSince()).toBe(null);
  });

  test('is not taken for one while it takes the bytes of a large line', async () => {
    const sink = create(1);
    sink.send(lines('large', 'next'));
    for (let minute = 1; minute <= 5; minute++) {
      await clock.advance(60_000);
      writer.now.stalledSince = clock.monotonic() - 100;
      expect(sink.stalledSince()).toBe(writer.stalledSince());
    }
    // the connection has taken the last of it
    await clock.advance(30_000);
    writer.now.stalledSince = null;
    sink.progress();
    await clock.advance(10_000);
    expect(sink.stalledSince()).toBe(330_000);
  });
});

describe('the end', () => {
  test('follows the last line', () => {
    const sink = create(3);
    sink.send(lines('a', 'b'));
    sink.end();
    expect([received(), events]).toEqual([['a', 'b'], ['complete']]);
    sink.send(lines('c'));
    sink.request(5);
    sink.progress();
    expect([received(), events]).toEqual([['a', 'b'], ['complete']]);
  });

  test('waits until the rest was asked for (S-598, S-601)', async () => {
    const sink = create(1);
    sink.send(lines('a', 'b', 'token_expires_in'));
    sink.end();
    await clock.advance(20_000);
    sink.request(1);
    expect(events).toEqual([]);
    sink.request(1);
    expect([received(), events]).toEqual([['a', 'b', 'token_expires_in'], ['complete']]);
  });

  test('waits until the connection has taken what is queued for it', async () => {
    const sink = create(3);
    writer.now.isEmpty = false;
    sink.send(lines('a'));
    sink.end();
    await clock.advance(29_000);
    sink.progress();
    expect(events).toEqual([]);
    writer.now.isEmpty = true;
    sink.progress();
    expect(events).toEqual(['complete']);
  });

  test('is cut after half a minute', async () => {
    const sink = create(1);
    sink.send(lines('a', 'b'));
    sink.end();
    await clock.advance(29_999);
    expect(events).toEqual([]);
    await clock.advance(1);
    expect(events).toEqual(['abort']);
    sink.request(5);
    expect(received()).toEqual(['a']);
  });

  test('an error comes at once, instead of what was held', () => {
    const sink = create(1);
    sink.send(lines('a', 'b'));
    sink.fail(new Error('too many buckets'));
    sink.request(5);
    expect([received(), events]).toEqual([['a'], ['error too many buckets']]);
  });

  test('counts once', () => {
    for (const first of ['end', 'fail', 'abort', 'close'] as const) {
      for (const second of ['end', 'fail', 'abort', 'close'] as const) {
        events = [];
        const sink = create(5);
        sink[first](new Error('x'));
        const before = events.filter((event) => event !== 'abort');
        sink[second](new Error('y'));
        expect(
          events.filter((event) => event !== 'abort'),
          `${first}, ${second}`,
        ).toEqual(before);
      }
    }
  });
});

describe('a connection that goes away', () => {
  test.each([
    ['cut by the session', 'abort', ['abort']],
    ['cancelled by the client', 'close', ['closed']],
  ] as const)('%s', async (_name, how, expected) => {
    const sink = create(1);
    sink.send(lines('a', 'b'));
    sink[how]();
    expect(events).toEqual(expected);
    sink.send(lines('c'));
    sink.request(10);
    expect(received()).toEqual(['a']);
    expect(sink.writable()).toBe(false);
    expect(sink.stalledSince()).toBe(null);
  });

  test.each(['abort', 'close'] as const)('while it waits for the end (%s)', async (how) => {
    const sink = create(1);
    sink.send(lines('a', 'b'));
    sink.end();
    sink[how]();
    await clock.advance(60_000);
    // the session has ended itself, and is told nothing
    expect(events).toEqual(how === 'abort' ? ['abort'] : []);
  });
});

test('sent bytes are those of this stream, not of the connection', () => {
  create(5).send(lines('a'));
  const before = writer.sentBytes();
  const second = create(5);
  expect(second.sentBytes()).toBe(0);
  second.send(lines('b'));
  expect(second.sentBytes()).toBe(writer.sentBytes() - before);
  expect(second.sentBytes()).toBeGreaterThan(0);
});
