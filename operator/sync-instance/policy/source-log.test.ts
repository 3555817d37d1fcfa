import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SourcePartStatus } from '#core/platform/status/contract.ts';
import type { Memory } from '../observed.ts';
import { NOON, sourcePart } from '../testing/played-pods.ts';
import { roundedHours, sourceLogs, sourceLogVerdict, type LogFact } from './source-log.ts';
import type { SourceFact } from './sources.ts';

const MIB = 1024 * 1024;
const MINUTE = 60_000;

const fact = (log: SourcePartStatus['log'], name = 'default'): SourceFact => ({
  ...{ name, state: 'Streaming', readyReplicas: 1, leader: 'pod' },
  report: sourcePart({ tag: name, log }),
});
const withRoom = (safeBytes: number | null, limitBytes: number | null = 1000 * MIB): SourceFact =>
  fact({ retainedBytes: 5 * MIB, limitBytes, safeBytes });

interface Look {
  readonly atMs: number;
  readonly facts: readonly SourceFact[];
}

/** What one look after the other says of the source `default`. */
function follow(looks: readonly Look[]): { readonly facts: (LogFact | undefined)[]; readonly samples: Memory['logs'] } {
  let samples: Memory['logs'] = {};
  const facts = looks.map(({ atMs, facts: seen }) => {
    const result = sourceLogs(seen, samples, NOON + atMs);
    ({ samples } = result);
    return result.logs.find(({ source }) => source === 'default');
  });
  return { facts, samples };
}

/** Every so often, with so much room in MiB; null: the source does not tell. */
const hoursAfter = (rooms: readonly number[], everyMs = 5 * MINUTE): number | null =>
  follow(rooms.map((room, index) => ({ atMs: index * everyMs, facts: [withRoom(room * MIB)] }))).facts.at(-1)!
    .hoursUntilLoss;

describe('hours until loss', () => {
  test.each<[string, number | null, readonly number[], number?]>([
    ['one look says nothing of the pace', null, [500]],
    ['neither do two within a minute', null, [500, 400], 59_000],
    // 100 MiB in 5 minutes; 400 are left.
    ['the log grows: room divided by pace', 400 / 100 / 12, [500, 400]],
    ['over the whole window, not the last step', 300 / 200 / 6, [500, 320, 300]],
    ['it shrinks: the reader keeps up', null, [400, 500]],
    ['it stays: so', null, [500, 500, 500]],
    ['it was confirmed meanwhile: room that came back counts', null, [500, 300, 510]],
    ['a slot made anew begins with more room', null, [10, 900, 890]],
    ['no room is left', 0, [100, 0]],
    ['slow for ever is a year', 24 * 365, [1000, 999.999]],
  ])('%s', (_, expected, rooms, everyMs) => {
    const hours = hoursAfter(rooms, everyMs);
    if (expected === null) expect(hours).toBeNull();
    else expect(hours).toBeCloseTo(expected, 9);
  });

  test('what is older than half an hour does not count: the pace of a slot made anew shows by then', () => {
    const rooms = [10, 900, 880, 860, 840, 820, 800, 780];
    // 30 minutes with 120 MiB, 780 left.
    expect(hoursAfter(rooms)).toBeCloseTo((780 / 120) * 0.5, 9);
  });

  test('a gap in the news, as at a hand-over, does not make it forget', () => {
    const { facts } = follow([
      { atMs: 0, facts: [withRoom(500 * MIB)] },
      { atMs: 5 * MINUTE, facts: [fact(null)] },
      { atMs: 6 * MINUTE, facts: [{ ...withRoom(0), report: null, leader: null }] },
      { atMs: 10 * MINUTE, facts: [withRoom(400 * MIB)] },
    ]);
    expect(facts[1]).toBeUndefined();
    expect(facts[3]?.hoursUntilLoss).toBeCloseTo(4 / 6, 9);
  });

  test('no limit: no hours, no share, and nothing is remembered', () => {
    const { facts, samples } = follow([
      { atMs: 0, facts: [withRoom(null, null)] },
      { atMs: 10 * MINUTE, facts: [withRoom(null, null)] },
    ]);
    expect(facts[1]).toEqual({
      ...{ source: 'default', retainedBytes: 5 * MIB, limitBytes: null, hoursUntilLoss: null, safeShare: null },
    });
    expect(samples).toEqual({ default: [] });
  });

  test('sources that are gone are forgotten', () => {
    const { samples } = follow([
      { atMs: 0, facts: [withRoom(MIB), fact({ retainedBytes: 0, limitBytes: 1, safeBytes: 1 }, 'gone')] },
      { atMs: MINUTE, facts: [withRoom(MIB)] },
    ]);
    expect(Object.keys(samples)).toEqual(['default']);
  });

  test('whatever is told when: the memory is bounded, and hours are no nonsense', () => {
    const looks = fc.array(fc.record({ after: fc.integer({ min: -5000, max: 90_000 }), room: fc.nat(1000 * MIB) }), {
      maxLength: 300,
    });
    fc.assert(
      fc.property(looks, (sequence) => {
        let atMs = 0;
        const { facts, samples } = follow(
          sequence.map(({ after, room }) => ({ atMs: (atMs += after), facts: [withRoom(room)] })),
        );
        expect((samples['default'] ?? []).length).toBeLessThanOrEqual(91);
        for (const hours of facts.map((item) => item!.hoursUntilLoss))
          if (hours !== null) {
            expect(hours).toBeGreaterThanOrEqual(0);
            expect(hours).toBeLessThanOrEqual(24 * 365);
          }
      }),
      { numRuns: 30 },
    );
  });

  test('the same pace with more room leaves more time', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 1, max: 400 }),
        fc.nat(400),
        (used, left, more) => {
          const few = hoursAfter([left + used, left])!;
          const many = hoursAfter([left + more + used, left + more])!;
          expect(many).toBeGreaterThanOrEqual(few);
        },
      ),
    );
  });
});

describe('verdict', () => {
  const log = (given: Partial<LogFact> = {}): LogFact => ({
    ...{ source: 'default', retainedBytes: 0, limitBytes: 1000, hoursUntilLoss: null, safeShare: 0.9 },
    ...given,
  });
  test.each<[string, string, string, LogFact[]]>([
    ['nobody has told', 'Unknown', 'NotKnown', []],
    ['room enough', 'True', 'Safe', [log()]],
    ['time enough', 'True', 'Safe', [log({ hoursUntilLoss: 12 })]],
    ['no limit', 'True', 'NoLimit', [log({ limitBytes: null, safeShare: null })]],
    ['little time', 'False', 'NearLimit', [log({ hoursUntilLoss: 11.9 })]],
    ['little room, whatever the pace', 'False', 'NearLimit', [log({ safeShare: 0.19 })]],
    ['no room', 'False', 'Lost', [log({ safeShare: 0, hoursUntilLoss: 0 })]],
    ['one is near, another has no limit', 'False', 'NearLimit', [log({ safeShare: null }), log({ safeShare: 0.1 })]],
    ['one is lost, another near', 'False', 'Lost', [log({ safeShare: 0.1 }), log({ source: 'b', safeShare: 0 })]],
  ])('%s: %s, %s', (_, status, reason, logs) => {
    expect(sourceLogVerdict(logs)).toMatchObject({ status, reason });
  });

  test('says which source, and how long', () => {
    const near = sourceLogVerdict([log(), log({ source: 'orders', hoursUntilLoss: 7.5, safeShare: 0.31 })]);
    expect(near.message).toContain('orders (about 6 hours, 40 % of it free)');
    expect(near.message).not.toContain('default');
    const soon = sourceLogVerdict([log({ hoursUntilLoss: 0.4, safeShare: 0.02 })]);
    expect(soon.message).toContain('default (less than 1 hour, less than 5 % of it free)');
  });

  test('hours are rounded down, in steps', () => {
    expect([0.9, 1, 5.99, 6, 11.9, 12, 25].map(roundedHours)).toEqual([0, 1, 5, 6, 6, 12, 24]);
  });
});
