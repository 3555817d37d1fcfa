import { describe, expect, test } from 'vitest';
import { DEPLOYMENTS, JOBS } from '../../kube/resource-types.ts';
import type { KubeCondition, LiveJob, ObservedPod } from '../observed.ts';
import { NOON, iso, partStatus, playedPod } from '../testing/played-pods.ts';
import { jobState, lastWords, storageVerdict, type JobState } from './storage.ts';

const job = (...conditions: KubeCondition[]): LiveJob => ({ metadata: { name: 'migrate' }, status: { conditions } });
const failed: KubeCondition = {
  ...{ type: 'Failed', status: 'True', reason: 'BackoffLimitExceeded', message: 'too often' },
  lastTransitionTime: iso(NOON),
};

describe('state of a Job', () => {
  test.each<[string, JobState['state'], LiveJob]>([
    ['no status yet', 'running', { metadata: { name: 'migrate' } }],
    ['a condition that does not hold', 'running', job({ ...failed, status: 'False' })],
    ['about to fail', 'running', job({ ...failed, type: 'FailureTarget' })],
    [
      'complete',
      'succeeded',
      job({ type: 'SuccessCriteriaMet', status: 'True' }, { type: 'Complete', status: 'True' }),
    ],
    ['failed', 'failed', job(failed)],
  ])('%s: %s', (_, state, object) => {
    expect(jobState([{ type: JOBS, object }], 'migrate').state).toBe(state);
  });

  test('another kind or name is another thing', () => {
    const object = job({ type: 'Complete', status: 'True' });
    expect(jobState([{ type: DEPLOYMENTS, object }], 'migrate').state).toBe('missing');
    expect(jobState([{ type: JOBS, object }], 'teardown').state).toBe('missing');
  });

  test('says when it failed, and why', () => {
    const state = jobState([{ type: JOBS, object: job(failed) }], 'migrate');
    expect(state).toMatchObject({ atMs: NOON, message: 'BackoffLimitExceeded: too often' });
  });
});

const words = (component: string, message: string, given: Partial<ObservedPod['pod']['metadata']> = {}): ObservedPod =>
  playedPod({
    component,
    pod: {
      metadata: { name: 'pod', ...given },
      status: { containerStatuses: [{ state: { terminated: { exitCode: 1, message } } }] },
    },
  });
const reporting = (reachable: boolean, name = 'a'): ObservedPod => {
  const error = reachable ? null : { code: 'PSYNC_S2401', message: 'No answer from MongoDB.' };
  return playedPod({ name, report: { status: partStatus({ storage: { reachable, error, observedAt: null } }) } });
};

describe('StorageReady', () => {
  const missing: JobState = { state: 'missing' };
  const done: JobState = { state: 'succeeded', job: job() };
  const running: JobState = { state: 'running', job: job() };
  const lost: JobState = { state: 'failed', job: job(), atMs: NOON, message: 'BackoffLimitExceeded: too often' };

  test.each<[string, string, string, JobState, boolean, ObservedPod[]]>([
    ['a Secret is missing', 'False', 'WaitingForSecrets', missing, false, []],
    ['about to begin', 'False', 'Migrating', missing, true, []],
    ['under way', 'False', 'Migrating', running, true, [reporting(true)]],
    ['failed', 'False', 'MigrationFailed', lost, true, [reporting(true)]],
    ['done, and nobody has told', 'Unknown', 'NotKnown', done, true, [playedPod()]],
    ['done, and reached', 'True', 'Ready', done, true, [reporting(true)]],
    ['reached by one of two', 'True', 'Ready', done, true, [reporting(false), reporting(true, 'b')]],
    ['reached by nobody', 'False', 'Unreachable', done, true, [reporting(false), reporting(false, 'b')]],
  ])('%s: %s, %s', (_, status, reason, migration, isResolved, pods) => {
    expect(storageVerdict(migration, isResolved, { pods, now: NOON })).toMatchObject({ status, reason });
  });

  test('says what the migration said, and when it is tried again', () => {
    const pods = [words('migration', 'starting\n[PSYNC_S2402] The database belongs to another instance.')];
    const verdict = storageVerdict(lost, true, { pods, now: NOON + 1000 });
    expect(verdict.message).toContain('[PSYNC_S2402] The database belongs to another instance.');
    expect(verdict.message).toContain('after a minute');
    expect(storageVerdict(lost, true, { pods, now: NOON + 60_000 }).message).toContain('now');
  });

  test('says why it is not reached', () => {
    expect(storageVerdict(done, true, { pods: [reporting(false)], now: NOON }).message).toBe(
      'No pod reaches bucket storage. a says: [PSYNC_S2401] No answer from MongoDB.',
    );
  });
});

describe('last words', () => {
  test('the last line with a code, of the newest pod of the component', () => {
    const pods = [
      words('teardown', '[PSYNC_S0001] of another part'),
      words('migration', '[PSYNC_S0002] older', { creationTimestamp: '2026-11-21T11:00:00Z' }),
      words('migration', 'x [PSYNC_S0003] first\n{"e":1} [PSYNC_S0004] last\nbye', {
        creationTimestamp: '2026-11-21T11:30:00Z',
      }),
    ];
    expect(lastWords(pods, 'migration')).toBe('[PSYNC_S0004] last');
    expect(lastWords(pods.toReversed(), 'migration')).toBe('[PSYNC_S0004] last');
  });

  test('a line without a code may hold anything: it is not shown', () => {
    expect(lastWords([words('migration', 'connecting to postgres://user:password@host')], 'migration')).toBe('');
  });

  test('bounded', () => {
    expect(lastWords([words('migration', `PSYNC_S0001 ${'x'.repeat(5000)}`)], 'migration')).toHaveLength(500);
  });
});
