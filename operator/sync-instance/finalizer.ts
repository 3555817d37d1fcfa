/** The end of an instance: what it has made outside of the cluster goes first (ADR 8, 7). States and transitions: SPEC.md. */
import { DEPLOYMENTS, JOBS } from '../kube/resource-types.ts';
import type { EventNote } from '../kube/event-recorder.ts';
import { withConditions } from './conditions.ts';
import { LOOK_AGAIN_MS, type Decision, type Unwanted } from './decision.ts';
import type { DesiredInput } from './desired/contract.ts';
import { desiredObjects } from './desired/desired.ts';
import { teardownJob } from './desired/jobs.ts';
import { names } from './desired/names.ts';
import { hasEnded } from './live-objects.ts';
import type { LiveDeployment, Observed } from './observed.ts';
import { jobState, lastWords, type JobState } from './policy/storage.ts';
import { fails, REASONS, type Verdict } from './reasons.ts';
import { wanted } from './workloads.ts';

export const FINALIZER = 'millrace.dev/teardown';
/** `"true"`: nothing outside of the cluster is removed. */
export const SKIP_TEARDOWN = 'millrace.dev/skip-teardown';

/** A failed attempt is followed by another one, until the time is over. */
const TEARDOWN_RETRY_MS = 10_000;

export type TeardownState =
  | 'Skipped'
  /** No migration has ever begun, so nothing was made. */
  | 'NothingMade'
  | 'TimedOut'
  /** Nothing may write any more before what was written is removed. */
  | 'Stopping'
  | 'TearingDown'
  | 'Failed'
  | 'Done';

/** Where the teardown stands: follows from what is observed alone. */
export function teardownState(observed: Observed): TeardownState {
  const { instance, now } = observed;
  const { metadata, spec, status } = instance;
  if (metadata.annotations?.[SKIP_TEARDOWN] === 'true') return 'Skipped';
  const job = jobState(observed.owned, names.teardown(metadata.name));
  if (job.state === 'succeeded') return 'Done';
  const hasMigrated = observed.owned.some(({ type }) => type === JOBS || type === DEPLOYMENTS);
  if (!hasMigrated && status?.storage?.migratedImage === undefined) return 'NothingMade';
  const deadline = Date.parse(metadata.deletionTimestamp ?? '') + spec.deletion.timeoutSeconds * 1000;
  if (now >= deadline) return 'TimedOut';
  if (job.state === 'missing') return isStopped(observed) ? 'TearingDown' : 'Stopping';
  return job.state === 'failed' ? 'Failed' : 'TearingDown';
}

function isStopped({ pods }: Observed): boolean {
  return !pods.some(({ component, pod }) => component !== 'teardown' && !hasEnded(pod));
}

/** What is to be done about an instance that is being deleted. Also while it is paused: it would never go otherwise. */
export function decideDeletion(observed: Observed, input: Omit<DesiredInput, 'stopped'>): Decision {
  const { instance, memory, now } = observed;
  const state = teardownState(observed);
  const isOver = state === 'Done' || state === 'Skipped' || state === 'TimedOut' || state === 'NothingMade';
  const job = jobState(observed.owned, names.teardown(instance.metadata.name));
  const stopped: DesiredInput = { ...input, stopped: true };
  const { verdict, event } = described(observed, state, job);
  const before = instance.status?.conditions ?? [];
  const conditions = withConditions(
    before,
    { Ready: verdict, Progressing: { ...verdict, status: 'True' } },
    { generation: instance.metadata.generation, now },
  );
  const status = { ...instance.status, observedGeneration: instance.metadata.generation, conditions };
  const begins = state === 'TearingDown' && job.state === 'missing';
  const isNew = before.find(({ type }) => type === 'Ready')?.message !== verdict.message;
  return {
    finalizer: isOver ? 'remove' : 'keep',
    storesToken: false,
    apply: begins ? teardownNeeds(stopped) : [],
    create: begins ? [wanted(teardownJob(stopped))] : [],
    scale: state === 'Stopping' ? toZero(observed) : [],
    remove: removals(observed, state, job, now),
    deploy: null,
    status,
    current: status,
    events: event !== null && (isNew || isOver) ? [event] : [],
    againAfterMs: isOver ? null : LOOK_AGAIN_MS,
    memory,
  };
}

function toZero({ owned }: Observed): Decision['scale'] {
  return owned
    .filter(({ type, object }) => type === DEPLOYMENTS && (object as LiveDeployment).spec.replicas !== 0)
    .map(({ type, object }) => ({ type, object, replicas: 0 }));
}

function removals(observed: Observed, state: TeardownState, job: JobState, now: number): Unwanted[] {
  const { owned, compactionJobs } = observed;
  if (state === 'Failed' && job.state === 'failed' && now - job.atMs >= TEARDOWN_RETRY_MS)
    return [{ type: JOBS, object: job.job, because: 'it failed and is tried again' }];
  if (state !== 'Stopping') return [];
  const because = 'the instance is being deleted';
  const teardown = names.teardown(observed.instance.metadata.name);
  const jobs = owned.filter(({ type, object }) => type === JOBS && object.metadata.name !== teardown);
  const cronJobs = owned.filter(({ type }) => type.kind === 'CronJob');
  return [
    ...[...jobs, ...cronJobs].map(({ type, object }) => ({ type, object, because })),
    ...compactionJobs.map((object) => ({ type: JOBS, object, because })),
  ].filter(({ object }) => object.metadata.deletionTimestamp === undefined);
}

function described(
  { instance, pods }: Observed,
  state: TeardownState,
  job: JobState,
): { readonly verdict: Verdict; readonly event: EventNote | null } {
  const { timeoutSeconds, policy } = instance.spec.deletion;
  const verdict = (message: string): Verdict => fails(REASONS.Deleting, message);
  const event = (type: EventNote['type'], reason: string, note: string): EventNote => ({
    type,
    reason,
    action: 'Teardown',
    note,
  });
  const what = policy === 'Retain' ? 'replication slots' : 'replication slots and bucket storage';
  const left = `${what[0]!.toUpperCase()}${what.slice(1)} may be left behind: remove them by hand.`;
  switch (state) {
    case 'Skipped':
      return {
        verdict: verdict('The teardown is skipped.'),
        event: event('Warning', REASONS.TeardownSkipped, `Skipped by the annotation ${SKIP_TEARDOWN}. ${left}`),
      };
    case 'NothingMade':
      return { verdict: verdict('Nothing was made outside of the cluster.'), event: null };
    case 'TimedOut':
      return {
        verdict: verdict('The teardown took too long.'),
        event: event('Warning', REASONS.TeardownTimedOut, `Not done after ${timeoutSeconds} s. ${left}`),
      };
    case 'Stopping':
      return { verdict: verdict('Pods are being stopped before the teardown.'), event: null };
    case 'TearingDown':
      return {
        verdict: verdict(`A Job removes ${what}.`),
        event: event('Normal', REASONS.TeardownStarted, `Removing ${what}.`),
      };
    case 'Failed': {
      const said = lastWords(pods, 'teardown');
      const why = `${job.state === 'failed' ? job.message : 'failed'}${said === '' ? '' : `: ${said}`}`;
      return {
        verdict: verdict(`The teardown failed and is tried again: ${why}`),
        event: event('Warning', REASONS.TeardownFailed, why),
      };
    }
    case 'Done':
      return {
        verdict: verdict('The teardown is done.'),
        event: event('Normal', REASONS.TeardownSucceeded, `Removed ${what}.`),
      };
  }
}

/** Objects that the teardown needs: they may be gone, or of a spec that was never rolled out. */
function teardownNeeds(input: DesiredInput): ReturnType<typeof wanted>[] {
  return desiredObjects(input)
    .filter(
      ({ stage, object }) => stage === 'base' && (object.kind === 'ConfigMap' || object.kind === 'ServiceAccount'),
    )
    .map(({ object }) => wanted(object));
}
