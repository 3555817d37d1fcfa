import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ClosedRange, Instance, RecentCommit, StreamRecord } from './documents.ts';
import { changesBetween, close, publish, publishableOp } from './visibility.ts';

const range = fc
  .tuple(fc.integer({ min: 1, max: 60 }), fc.nat(20))
  .map(([first, length]): ClosedRange => ({ first, last: first + length, listed: true }));
const instance = (closed: readonly ClosedRange[], change: Partial<Instance> = {}): Instance =>
  ({ tick: 7, active: 1, ready: null, closed, recent: [], streams: {}, visible: 0, ...change }) as Instance;

describe('publishable op', () => {
  test('is the greatest end that neither cuts a transaction nor lies above an open one', () => {
    fc.assert(
      fc.property(fc.array(range, { maxLength: 12 }), fc.integer({ min: 1, max: 90 }), (closed, open) => {
        const whole = (op: number): boolean => op < open && closed.every(({ first, last }) => last <= op || first > op);
        const candidates = closed.map(({ last }) => last).filter(whole);
        expect(publishableOp(closed, open)).toBe(candidates.length === 0 ? null : Math.max(...candidates));
      }),
    );
  });
});

describe('publish', () => {
  test('what is published is complete, the rest lies above it', () => {
    fc.assert(
      fc.property(
        fc.array(range, { maxLength: 12 }),
        fc.option(fc.integer({ min: 1, max: 90 })),
        (closed, openFrom) => {
          const streams = {
            '1': { serving: true, openFrom },
            '2': { serving: false, openFrom: 1 },
          } as unknown as Record<string, StreamRecord>;
          const result = publish(instance(closed, { streams }));
          expect([...result.published, ...result.instance.closed]).toHaveLength(closed.length);
          if (result.published.length === 0) return;
          const op = result.instance.visible;
          expect(result.published.some(({ last }) => last === op)).toBe(true);
          expect(result.published.every(({ last }) => last <= op)).toBe(true);
          expect(result.instance.closed.every(({ first }) => first > op)).toBe(true);
          expect(op).toBeLessThan(openFrom ?? Number.POSITIVE_INFINITY);
        },
      ),
    );
  });

  test('a version that is ready becomes active with its op, not before', () => {
    const ready = { version: 2, op: 9 };
    const first: ClosedRange = { first: 3, last: 4, listed: true };
    const change: ClosedRange = { first: 9, last: 9, listed: false };
    const open = { '1': { serving: true, openFrom: 6 } } as unknown as Record<string, StreamRecord>;
    expect(publish(instance([first, change], { ready, streams: open }))).toMatchObject({
      activated: null,
      published: [first],
    });
    expect(publish(instance([first, change], { ready }))).toMatchObject({ activated: 2, published: [first, change] });
    // Without an active version nothing is shown before that.
    const never = publish(instance([first, change], { ready, streams: open, active: null }));
    expect(never).toMatchObject({ activated: null, published: [], instance: { visible: 0, closed: [first, change] } });
    expect(publish(instance([first], { active: null }))).toMatchObject({ published: [], instance: { closed: [] } });
  });
});

describe('ranges that wait', () => {
  test('are bounded: too many become one, which is never published earlier than they would be', () => {
    fc.assert(
      fc.property(fc.array(range, { minLength: 201, maxLength: 260 }), (ranges) => {
        const merged = ranges.reduce((state, item) => close(state, item), instance([])).closed;
        expect(merged.length).toBeLessThanOrEqual(200);
        const op = publishableOp(merged, Number.POSITIVE_INFINITY)!;
        expect(ranges.every(({ first, last }) => last <= op || first > op)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });
});

describe('changes between two copies', () => {
  test('name what differs, entry by entry, and the next tick', () => {
    const a = { serving: true } as StreamRecord;
    const before = instance([], { streams: { '1': a, '2': a }, sources: {}, visible: 3 });
    const after = { ...before, visible: 4, streams: { '1': a, '3': a } };
    expect(changesBetween(before, after)).toEqual({
      $set: { tick: 8, visible: 4, 'streams.3': a },
      $unset: { 'streams.2': true },
    });
    expect(changesBetween(before, before)).toEqual({ $set: { tick: 8 } });
  });

  test('name recent commits that were added, or all of them', () => {
    const [one, two, three] = [{}, {}, {}] as [RecentCommit, RecentCommit, RecentCommit];
    const before = instance([], { recent: [one] });
    expect(changesBetween(before, { ...before, recent: [one, two, three] })).toEqual({
      $set: { tick: 8 },
      $push: { recent: { $each: [two, three] } },
    });
    expect(changesBetween(before, { ...before, recent: [] })).toEqual({ $set: { tick: 8, recent: [] } });
    expect(changesBetween(before, { ...before, recent: [two] })).toEqual({ $set: { tick: 8, recent: [two] } });
  });
});
