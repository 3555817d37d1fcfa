import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { conditionTypes, type Condition } from '#crds/sync-instance/status.ts';
import type { SyncInstanceStatus } from '#crds/sync-instance/sync-instance.ts';
import { secondsOf } from './conditions.ts';
import { transitionEvents } from './events.ts';
import { REASONS } from './reasons.ts';
import { NOON } from './testing/played-pods.ts';

const condition = (type: string, status: Condition['status'], reason: string): Condition => ({
  ...{ type, status, reason, message: `${type} is ${status}.`, lastTransitionTime: secondsOf(NOON) },
});
const withOne = (status: Condition['status'], reason: string, type = 'Ready'): SyncInstanceStatus => ({
  conditions: [condition(type, status, reason)],
});
const leadBy = (leader?: string): SyncInstanceStatus => ({
  sources: [{ name: 'default', state: 'Streaming', ...(leader === undefined ? {} : { leader }) }],
});
const workers = (desiredReplicas: number): SyncInstanceStatus => ({
  api: { replicas: 1, desiredReplicas, connections: 250 },
});

describe('conditions', () => {
  test.each<[string, string[], SyncInstanceStatus | undefined, SyncInstanceStatus]>([
    ['a new instance is not ready: nothing to tell', [], undefined, withOne('False', REASONS.NotServing)],
    ['it becomes ready', ['Normal Serving'], withOne('False', REASONS.NotServing), withOne('True', REASONS.Serving)],
    ['it goes on', [], withOne('True', REASONS.Serving), withOne('True', REASONS.Serving)],
    [
      'a fall from True',
      ['Warning NoReadyWorkers'],
      withOne('True', REASONS.Serving),
      withOne('False', REASONS.NoReadyWorkers),
    ],
    ['not known', [], withOne('True', REASONS.Serving), withOne('Unknown', REASONS.NotKnown)],
    [
      'something missing from the start',
      ['Warning SecretNotFound'],
      undefined,
      withOne('False', REASONS.SecretNotFound, 'SecretsResolved'),
    ],
    [
      'another reason',
      ['Warning MigrationFailed'],
      withOne('False', REASONS.Migrating, 'StorageReady'),
      withOne('False', REASONS.MigrationFailed, 'StorageReady'),
    ],
    [
      'on the way to True',
      ['Normal Copying'],
      withOne('False', REASONS.NoLeader, 'SourcesReady'),
      withOne('False', REASONS.Copying, 'SourcesReady'),
    ],
    [
      'the end of a roll-out is nothing to worry about',
      ['Normal Complete'],
      withOne('True', REASONS.RollingOut, 'Progressing'),
      withOne('False', REASONS.Complete, 'Progressing'),
    ],
    [
      'a name that is taken is',
      ['Warning NameTaken'],
      withOne('True', REASONS.RollingOut, 'Progressing'),
      withOne('False', REASONS.NameTaken, 'Progressing'),
    ],
    [
      'and so is a kind that the cluster lacks',
      ['Warning KindNotServed'],
      withOne('True', REASONS.RollingOut, 'Progressing'),
      withOne('False', REASONS.KindNotServed, 'Progressing'),
    ],
  ])('%s', (_, expected, before, after) => {
    expect(transitionEvents(before, after).map(({ type, reason }) => `${type} ${reason}`)).toEqual(expected);
  });

  test('the note is the message, the action the condition', () => {
    const [event] = transitionEvents(withOne('False', REASONS.NotServing), withOne('True', REASONS.Serving));
    expect(event).toMatchObject({ action: 'Ready', note: 'Ready is True.' });
  });
});

describe('leaders and workers', () => {
  test('a new leader, and in place of whom', () => {
    expect(transitionEvents(undefined, leadBy('a'))).toMatchObject([{ note: 'Pod a reads source default.' }]);
    expect(transitionEvents(leadBy('a'), leadBy('b'))).toMatchObject([
      { type: 'Normal', reason: 'LeaderChanged', note: 'Pod b reads source default, in place of a.' },
    ]);
    expect(transitionEvents(leadBy('a'), leadBy())).toEqual([]);
  });

  test('more or fewer workers, but not the first number', () => {
    expect(transitionEvents(undefined, workers(3))).toEqual([]);
    expect(transitionEvents(workers(1), workers(3))).toMatchObject([
      { reason: 'ScaledUp', note: 'API workers: 1 -> 3, for 250 clients.' },
    ]);
    expect(transitionEvents(workers(3), workers(1))).toMatchObject([{ reason: 'ScaledDown' }]);
  });
});

test('a state that goes on is told once, whatever it is', () => {
  const anyStatus = fc
    .record({
      conditions: fc.uniqueArray(
        fc
          .tuple(
            fc.constantFrom(...conditionTypes),
            fc.constantFrom<Condition['status']>('True', 'False', 'Unknown'),
            fc.constantFrom(...Object.values(REASONS)),
          )
          .map(([type, status, reason]) => condition(type, status, reason)),
        { selector: ({ type }) => type },
      ),
      leader: fc.option(fc.constantFrom('a', 'b'), { nil: undefined }),
      desired: fc.integer({ min: 1, max: 5 }),
    })
    .map(({ conditions, leader, desired }) => ({ ...leadBy(leader), ...workers(desired), conditions }));
  fc.assert(
    fc.property(anyStatus, anyStatus, (before, after) => {
      expect(transitionEvents(after, after)).toEqual([]);
      const changes = after.conditions.filter(
        (item) =>
          !before.conditions.some(
            ({ type, status, reason }) => type === item.type && status === item.status && reason === item.reason,
          ),
      );
      expect(transitionEvents(before, after).length).toBeLessThanOrEqual(changes.length + 2);
    }),
  );
});
