import { describe, expect, test } from 'vitest';
import type { PartStatus, SyncConfigPartStatus } from '#core/platform/status/contract.ts';
import { syncConfigRevision } from '#core/platform/status/revision.ts';
import { compileSyncConfig } from '#core/sync-config/compile.ts';
import type { SyncConfigStatus } from '#crds/sync-instance/status.ts';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import { NO_MEMORY, type Observed, type ObservedPod } from '../observed.ts';
import { goldenInstance } from '../testing/golden-instances.ts';
import { iso, lookAt, NOON, partStatus, playedPod, sourcePart, versionOf } from '../testing/played-pods.ts';
import { syncConfigFact, type SyncConfigFact } from './sync-config.ts';

const LISTS = `config:\n  edition: 3\nstreams:\n  lists:\n    auto_subscribe: true\n    query: SELECT * FROM lists\n`;
const TODOS = `${LISTS}  todos:\n    auto_subscribe: true\n    query: SELECT * FROM todos\n`;
const BROKEN = LISTS.replace('SELECT *', 'SELEC *');
const COMMENTED = `# for the lists\n${LISTS}`;

const base = goldenInstance('minimal');
const lists = versionOf(base, LISTS);
const todos = versionOf(base, TODOS, { version: 2, state: 'processing' });

function instanceWith(
  syncConfig: Partial<SyncInstance['spec']['syncConfig']> = {},
  status?: SyncConfigStatus,
): SyncInstance {
  return {
    ...base,
    spec: { ...base.spec, syncConfig: { ...base.spec.syncConfig, ...syncConfig } },
    ...(status === undefined ? {} : { status: { syncConfig: status } }),
  };
}

/** An API worker that knows of these versions. */
const worker = (versions: readonly SyncConfigPartStatus[] | null, given: Partial<PartStatus> = {}): ObservedPod =>
  playedPod({ report: { status: partStatus({ syncConfig: versions === null ? null : [...versions], ...given }) } });

/** Heard from storage so much later. */
const heardAfter = (ms: number): Pick<PartStatus, 'storage'> => ({
  storage: { reachable: true, error: null, observedAt: iso(NOON + ms) },
});

interface Given extends Partial<Observed> {
  readonly text?: string;
  readonly versions?: readonly SyncConfigPartStatus[] | null;
}

/** `text` is in the spec, and one API worker reports `versions`. */
function factOf({ text = LISTS, versions = [lists], ...given }: Given = {}): SyncConfigFact {
  const look = lookAt(instanceWith(), { syncConfig: { text }, pods: [worker(versions)], ...given });
  return syncConfigFact(look, compileSyncConfig);
}

const revision = syncConfigRevision(TODOS);
const deployed = { text: TODOS, revision };

describe('SyncConfigValid', () => {
  test('an error is told with its position, is not deployed, and what was before goes on', () => {
    const { valid, deployed: verdict, status, deploy, isServing } = factOf({ text: BROKEN });
    expect(valid).toMatchObject({ status: 'False', reason: 'Invalid' });
    expect(valid.message).toMatch(/^\[PSYNC_R\d{4}\] line 6, column \d+: /);
    expect(status.error).toMatchObject({ code: expect.stringMatching(/^PSYNC_R/), line: 6 });
    expect(status.active).toEqual({ revision: lists.revision, version: 1 });
    expect(verdict).toMatchObject({ status: 'False', reason: 'NotValid' });
    expect(verdict.message).toContain('The one before goes on.');
    expect([deploy, isServing]).toEqual([null, true]);
  });

  test('the first one is broken: nothing goes on', () => {
    const { deployed: verdict, isServing } = factOf({ text: BROKEN, versions: [] });
    expect(verdict.message).toContain('There is none before it.');
    expect(isServing).toBe(false);
  });

  test.each(['ConfigMap', 'Key'] as const)('missing: %s', (missing) => {
    const { valid, status, deploy } = factOf({ syncConfig: { missing } });
    expect(valid.reason).toBe(missing === 'Key' ? 'KeyNotFound' : 'ConfigMapNotFound');
    expect(valid.message).toContain('ConfigMap sync-config');
    expect(status.active?.version).toBe(1);
    expect(status.error?.message).toBe(valid.message);
    expect(deploy).toBeNull();
  });

  test('several errors are counted', () => {
    const text = `${BROKEN}  other:\n    query: SELEC 1\n`;
    expect(factOf({ text }).valid.message).toMatch(/\(and \d+ more errors?\)$/);
  });
});

describe('SyncConfigDeployed', () => {
  const away = playedPod({ isReady: false, report: { status: partStatus({ syncConfig: [lists] }) } });

  test.each<[string, string, string, boolean, Given]>([
    ['it is served', 'True', 'Active', false, { text: LISTS }],
    ['nobody has told', 'Unknown', 'NotKnown', false, { text: TODOS, versions: null }],
    ['no pods', 'Unknown', 'NotKnown', false, { text: TODOS, pods: [] }],
    ['the first one', 'False', 'Deploying', true, { text: TODOS, versions: [] }],
    ['another one is served', 'False', 'Deploying', true, { text: TODOS }],
    ['no worker is ready', 'False', 'WaitingForApiWorker', false, { text: TODOS, pods: [away] }],
    ['it is being copied', 'False', 'Copying', false, { text: TODOS, versions: [todos, lists] }],
    ['another one is being copied', 'False', 'Deploying', true, { text: LISTS, versions: [todos, lists] }],
    [
      'it could not be copied',
      'False',
      'CopyFailed',
      false,
      { text: TODOS, versions: [{ ...todos, state: 'errored', error: 'too large' }, lists] },
    ],
    [
      'it could not be copied, but that was before',
      'True',
      'Active',
      false,
      {
        text: TODOS,
        versions: [
          { ...todos, version: 3, state: 'active' },
          { ...todos, state: 'errored' },
        ],
      },
    ],
  ])('%s: %s, %s', (_, status, reason, deploys, given) => {
    const fact = factOf(given);
    expect(fact.deployed).toMatchObject({ status, reason });
    expect(fact.deploy !== null).toBe(deploys);
    expect(fact.valid.status).toBe('True');
  });

  test('the plan is there before it is deployed', () => {
    const { status, deploy } = factOf({ text: TODOS });
    expect(deploy).toEqual(deployed);
    expect(status.pending).toEqual({ revision });
    expect(status.plan).toEqual({
      revision,
      streams: [
        { name: 'lists', action: 'Kept', rows: 0 },
        { name: 'todos', action: 'Copied' },
      ],
    });
    expect(factOf({ text: LISTS }).status.plan).toBeUndefined();
  });

  test('how far the copy is', () => {
    const snapshot = { version: 2, rowsCopied: 250, rowsEstimated: 1000, secondsRemaining: null };
    const replicator = playedPod({
      ...{ name: 'r', component: 'replicator', source: 'default' },
      report: { status: partStatus({ sources: [sourcePart({ snapshot })] }) },
    });
    const { status } = factOf({ text: TODOS, pods: [worker([todos, lists]), replicator] });
    expect(status.deploying).toEqual({ revision, version: 2, percent: 25 });
    expect(status.active?.version).toBe(1);
  });

  test('the part that heard from storage last is believed', () => {
    const old = worker([lists], heardAfter(0));
    const fresh = worker([{ ...todos, state: 'active' }], heardAfter(1000));
    for (const pods of [
      [old, fresh],
      [fresh, old],
    ])
      expect(factOf({ text: TODOS, pods }).deployed.status).toBe('True');
  });

  test('without news, what was known stays', () => {
    const instance = instanceWith(
      {},
      { active: { revision: 'r', version: 7 }, deploying: { revision: 's', version: 8 } },
    );
    expect(factOf({ instance, pods: [] }).status).toMatchObject({ active: { version: 7 }, deploying: { version: 8 } });
  });
});

describe('approval', () => {
  const manual = instanceWith({ approval: 'Manual', approvedRevision: lists.revision });

  test('Manual: waits, with the plan and what to do', () => {
    const { deployed: verdict, deploy, status } = factOf({ instance: manual, text: TODOS });
    expect(verdict).toMatchObject({ status: 'False', reason: 'WaitingForApproval' });
    expect(verdict.message).toContain(`approvedRevision to ${revision}`);
    expect(deploy).toBeNull();
    expect(status).toMatchObject({ pending: { revision }, plan: { revision } });
  });

  test('Manual: goes on when this revision is approved, and no other', () => {
    const approved = instanceWith({ approval: 'Manual', approvedRevision: revision });
    expect(factOf({ instance: approved, text: TODOS }).deploy).toEqual(deployed);
    expect(factOf({ instance: approved, text: `${TODOS}# more\n` }).deploy).toBeNull();
  });

  test('what is served needs no approval to go back to', () => {
    const other = instanceWith({ approval: 'Manual', approvedRevision: 'none' });
    expect(factOf({ instance: other, text: LISTS, versions: [todos, lists] }).deploy).not.toBeNull();
  });
});

describe('giving it to a worker', () => {
  const failure = { revision, code: 'PSYNC_S2101', message: 'Too large.', atMs: NOON };
  const after = (ms: number, memory: Partial<Observed['memory']>, given: Given = {}): SyncConfigFact =>
    factOf({ text: TODOS, now: NOON + ms, memory: { ...NO_MEMORY, ...memory }, ...given });

  test('refused: it waits, and says why', () => {
    const { deploy, deployed: verdict, status } = after(29_999, { deployFailure: failure });
    expect(deploy).toBeNull();
    expect(verdict).toMatchObject({ status: 'False', reason: 'DeployFailed' });
    expect(status.error).toEqual({ code: 'PSYNC_S2101', message: 'Too large.' });
  });

  test('… tries again half a minute later, and still says why', () => {
    const before = after(29_999, { deployFailure: failure });
    const again = after(30_000, { deployFailure: failure });
    expect(again.deploy).toEqual(deployed);
    expect([again.deployed, again.status]).toEqual([before.deployed, before.status]);
  });

  test('… but not when nobody is there to take it', () => {
    const pods = [playedPod({ isReady: false, report: { status: partStatus({ syncConfig: [lists] }) } })];
    expect(after(30_000, { deployFailure: failure }, { pods }).deploy).toBeNull();
  });

  test('another text does not wait', () => {
    expect(after(0, { deployFailure: { ...failure, revision: 'other' } }).deploy).toEqual(deployed);
  });

  test('accepted: time to show, then once more', () => {
    const memory = { deployed: { revision, atMs: NOON } };
    expect(after(29_999, memory)).toMatchObject({ deploy: null, deployed: { reason: 'Deploying' } });
    expect(after(30_000, memory).deploy).toEqual(deployed);
  });

  test('a text with the same plan makes no new version (O-128): the one that is served serves it', () => {
    const memory = { deployed: { revision: syncConfigRevision(COMMENTED), atMs: NOON } };
    const pods = (ms: number): ObservedPod[] => [worker([lists], heardAfter(ms))];
    const early = after(2000, memory, { text: COMMENTED, pods: pods(0) });
    expect(early.deployed.reason).toBe('Deploying');
    const { deployed: verdict, status } = after(2000, memory, { text: COMMENTED, pods: pods(1000) });
    expect(verdict).toMatchObject({ status: 'True', reason: 'Active' });
    expect(status.active?.revision).toBe(syncConfigRevision(COMMENTED));
    // The status remembers it when the operator does not.
    const instance = instanceWith({}, status);
    expect(factOf({ instance, text: COMMENTED })).toMatchObject({ deploy: null, deployed: { reason: 'Active' } });
  });
});
