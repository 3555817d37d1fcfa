import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { conditionTypes, type Condition } from '#crds/sync-instance/status.ts';
import { conditionOf, secondsOf, withConditions } from './conditions.ts';
import { fails, holds, REASONS, unknown, type Verdict } from './reasons.ts';
import { NOON } from './testing/played-pods.ts';

const good = holds(REASONS.Serving, 'Clients are served.');
const at = (generation: number, now = NOON) => ({ generation, now });

describe('conditions (Kubernetes API conventions)', () => {
  const anyVerdict: fc.Arbitrary<Verdict> = fc.record({
    status: fc.constantFrom('True', 'False', 'Unknown'),
    reason: fc.constantFrom(REASONS.Serving, REASONS.Unreachable, REASONS.NotKnown),
    message: fc.string({ maxLength: 3000 }),
  });
  const anyLooks = fc.array(
    fc.record({
      verdicts: fc.dictionary(fc.constantFrom(...conditionTypes), anyVerdict, { noNullPrototype: true }),
      after: fc.integer({ min: 1, max: 10_000 }),
      newSpec: fc.boolean(),
    }),
    { minLength: 1, maxLength: 20 },
  );

  test('the time moves when the status changes and only then; the generation is always that of the spec', () => {
    fc.assert(
      fc.property(anyLooks, (looks) => {
        let conditions: Condition[] = [];
        let [now, generation] = [NOON, 1];
        for (const { verdicts, after, newSpec } of looks) {
          now += after;
          if (newSpec) generation++;
          const before = conditions;
          conditions = withConditions(before, verdicts, { generation, now });
          for (const [type, verdict] of Object.entries(verdicts)) {
            const [old, fresh] = [conditionOf(before, type), conditionOf(conditions, type)!];
            const { status, reason } = verdict;
            expect(fresh).toMatchObject({ status, reason, observedGeneration: generation });
            expect(fresh.lastTransitionTime).toBe(
              old?.status === verdict.status ? old.lastTransitionTime : secondsOf(now),
            );
          }
          expect(conditions.length).toBe(new Set(conditions.map(({ type }) => type)).size);
          // What nobody judged this time is as it was.
          for (const old of before) if (!(old.type in verdicts)) expect(conditions).toContainEqual(old);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('a new reason or message moves nothing but itself', () => {
    const [first] = withConditions([], { Ready: fails(REASONS.NotServing, 'Not yet.') }, at(1));
    const [next] = withConditions([first!], { Ready: fails(REASONS.Unreachable, 'Away.') }, at(1, NOON + 60_000));
    expect(next).toEqual({ ...first, reason: 'Unreachable', message: 'Away.' });
  });

  test('conditions of others are kept, after ours; the order never changes', () => {
    const foreign: Condition = {
      ...{ type: 'BackedUp', status: 'True', lastTransitionTime: secondsOf(0), reason: 'Done', message: '' },
    };
    const verdicts = { Ready: good, StorageReady: good };
    const first = withConditions([foreign], verdicts, at(1));
    expect(first.map(({ type }) => type)).toEqual(['Ready', 'StorageReady', 'BackedUp']);
    expect(first.at(-1)).toEqual(foreign);
    const reversed = withConditions(first.toReversed(), verdicts, at(2));
    expect(reversed.map(({ type }) => type)).toEqual(first.map(({ type }) => type));
  });

  test('messages are bounded', () => {
    const [long] = withConditions([], { Ready: unknown('x'.repeat(5000)) }, at(1));
    expect(long!.message).toHaveLength(2000);
    expect(long!.message.endsWith('…')).toBe(true);
  });

  test('times have no fractions (metav1.Time)', () => {
    expect(secondsOf(NOON + 999)).toBe('2026-11-21T12:00:00Z');
  });
});
