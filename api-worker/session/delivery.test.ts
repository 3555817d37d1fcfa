/** Reading on while sending, with pages that come when the test says. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bsonEncoding } from '#core/protocol/encoding/bson.ts';
import type { EncodedLine } from '#core/protocol/lines.ts';
import type { Page } from '../chunks/page.ts';
import type { ChunkPages, PageResult } from '../chunks/pages.ts';
import { createDelivery } from './delivery.ts';
import type { SessionBucket } from './holdings.ts';

const OP = 1000;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Read {
  readonly bucket: string;
  readonly after: number;
  answer(): void;
}

/** Buckets with an operation in each page; `isCached` answers which pages are at hand. */
function start(lengths: readonly number[], isCached: (bucket: string, after: number) => boolean) {
  const pending: Read[] = [];
  const events: string[] = [];
  const page = (bucket: string, after: number, upTo: number): Page => ({
    ...{ bucketName: bucket, after, runs: [], needs: 0, operations: 1, bytes: 1, lines: new Map() },
    last: { lastOp: after + 1, totals: { lastOp: after + 1, count: after + 1, checksum: 0 } },
    coveredTo: after + 1 >= upTo ? OP : after + 1,
    counts: { put: 1, remove: 0, move: 0, clear: 0 },
  });
  const pages: ChunkPages = {
    read({ name }, after, upTo, _maxBytes, _deflated, done) {
      events.push(`read ${name} ${after}`);
      const answer = (): void => done({ page: page(name, after, upTo) } satisfies PageResult);
      if (isCached(name, after)) return page(name, after, upTo);
      pending.push({ bucket: name, after, answer });
      return null;
    },
    lines: ({ bucketName, after }) => [
      { parts: [], bytes: 0, operations: 1, about: `${bucketName} ${after}` } as EncodedLine,
    ],
    forget() {},
    figures: () => ({ bytes: 0, hits: 0, shared: 0, misses: 0, waiting: 0 }),
  };
  const buckets = lengths.map(
    (length, index) =>
      ({
        held: { name: `b${index}` },
        ...{ stream: 's', priority: 1, position: 0 },
        announced: { lastOp: length, count: length, checksum: 0 },
      }) as SessionBucket,
  );
  let isWritable = true;
  const delivery = createDelivery({
    ...{ op: OP, pages, buckets, levels: [] },
    sink: { encoding: bsonEncoding, takesDeflated: false },
    emit: (line) => events.push(`sent ${(line as unknown as { about: string }).about}`),
    onSent: () => undefined,
    onPage: () => events.push('page'),
    onError: (error) => expect.fail(String(error)),
  });
  return {
    ...{ pending, events, delivery },
    setWritable: (does: boolean) => (isWritable = does),
    step: () => delivery.step(() => isWritable),
    answer: (index = 0) => pending.splice(index, 1)[0]!.answer(),
  };
}

test('the next page is asked for before this one is sent, and leaves with the turn', async () => {
  const { events, step, answer } = start([3], () => false);
  expect(step()).toBe('waiting');
  answer();
  expect(step()).toBe('waiting');
  expect(events).toEqual(['read b0 0', 'page', 'read b0 1']);
  await turn();
  expect(events.at(-1)).toBe('page');
  expect(step()).toBe('waiting');
  expect(events.at(-1)).toBe('sent b0 0');
});

test('for a client that takes nothing, nothing is read on', async () => {
  const { events, step, answer, setWritable } = start([3], () => false);
  step();
  answer();
  setWritable(false);
  expect(step()).toBe('blocked');
  await turn();
  expect(events).toEqual(['read b0 0', 'page']);
});

test('a cancelled delivery says nothing any more', async () => {
  const { events, step, answer, delivery } = start([3], () => false);
  step();
  answer();
  step();
  const before = events.length;
  delivery.cancel();
  answer();
  await turn();
  expect(events.length).toBe(before);
});

test('every page is read once and sent once, in order, at most two of a bucket at a time', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }),
      fc.func(fc.boolean()),
      fc.array(fc.record({ what: fc.constantFrom('answer', 'turn', 'block', 'unblock'), which: fc.nat(7) })),
      async (lengths, isCached, script) => {
        const run = start(lengths, isCached);
        let state = run.step();
        for (const { what, which } of script) {
          if (what === 'answer' && run.pending.length > 0) run.answer(which % run.pending.length);
          else if (what === 'turn') await turn();
          else if (what === 'block' || what === 'unblock') run.setWritable(what === 'unblock');
          if (state !== 'done') state = run.step();
        }
        run.setWritable(true);
        while (state !== 'done') {
          if (run.pending.length > 0) run.answer();
          else await turn();
          state = run.step();
        }
        const all = lengths.flatMap((length, index) => Array.from({ length }, (_, after) => `b${index} ${after}`));
        const of = (kind: string): string[] =>
          run.events.filter((event) => event.startsWith(kind)).map((event) => event.slice(kind.length + 1));
        expect(of('sent')).toEqual(all);
        expect(of('read').toSorted()).toEqual(all.toSorted());
        for (const [index] of lengths.entries()) {
          let ahead = 0;
          for (const event of run.events) {
            if (event.startsWith(`read b${index} `)) ahead++;
            if (event.startsWith(`sent b${index} `)) ahead--;
            expect(ahead).toBeLessThanOrEqual(2);
          }
        }
      },
    ),
  );
});
