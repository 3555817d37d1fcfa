import { newestFirst, ownedObject, trueCondition } from '../live-objects.ts';
import type { LiveJob, Observed, ObservedPod, OwnedObject } from '../observed.ts';
import { fails, holds, REASONS, unknown, type Verdict } from '../reasons.ts';
import { JOBS } from '../../kube/resource-types.ts';

/** A migration that failed for good is tried again after this: storage may have been away for longer than a Job's own attempts. */
export const MIGRATION_RETRY_MS = 60_000;

export type JobState =
  | { readonly state: 'missing' }
  | { readonly state: 'running'; readonly job: LiveJob }
  | { readonly state: 'succeeded'; readonly job: LiveJob }
  | { readonly state: 'failed'; readonly job: LiveJob; readonly atMs: number; readonly message: string };

/** How a Job of the instance stands; one that is being deleted too, until it is gone. */
export function jobState(owned: readonly OwnedObject[], name: string): JobState {
  const job: LiveJob | undefined = ownedObject(owned, JOBS, name);
  if (job === undefined) return { state: 'missing' };
  const { conditions } = job.status ?? {};
  if (trueCondition(conditions, 'Complete') !== undefined) return { state: 'succeeded', job };
  const failed = trueCondition(conditions, 'Failed');
  if (failed === undefined) return { state: 'running', job };
  const message = `${failed.reason ?? 'Failed'}: ${failed.message ?? 'no reason given'}`;
  return { state: 'failed', job, atMs: Date.parse(failed.lastTransitionTime ?? '') || 0, message };
}

/** Is bucket storage migrated for what is to run, and can the parts reach it? */
export function storageVerdict(
  migration: JobState,
  isResolved: boolean,
  { pods, now }: Pick<Observed, 'pods' | 'now'>,
): Verdict {
  if (migration.state === 'failed') {
    const log = lastWords(pods, 'migration');
    const left = Math.max(0, Math.ceil((migration.atMs + MIGRATION_RETRY_MS - now) / 1000));
    const again = left === 0 ? 'It is tried again now.' : 'It is tried again after a minute.';
    return fails(
      REASONS.MigrationFailed,
      `The migration of bucket storage failed (${migration.message})${log === '' ? '.' : `: ${log}`} What ran before goes on. ${again}`,
    );
  }
  if (migration.state === 'running') {
    const log = lastWords(pods, 'migration');
    return fails(
      REASONS.Migrating,
      `The Job ${migration.job.metadata.name} prepares bucket storage.${log === '' ? '' : ` Its last attempt failed: ${log}`}`,
    );
  }
  if (migration.state === 'missing')
    return isResolved
      ? fails(REASONS.Migrating, 'Bucket storage is about to be prepared.')
      : fails(REASONS.WaitingForSecrets, 'Bucket storage is prepared as soon as all Secrets are there.');
  return reachability(pods);
}

function reachability(pods: readonly ObservedPod[]): Verdict {
  const reports = pods.flatMap(({ name, report }) =>
    report?.status === undefined ? [] : [{ name, ...report.status.storage }],
  );
  if (reports.length === 0) return unknown('Storage is migrated; no pod has told yet whether it reaches it.');
  if (reports.some(({ reachable }) => reachable)) return holds(REASONS.Ready, 'Storage is migrated and reached.');
  const [{ name, error }] = reports as [(typeof reports)[0]];
  const why = error === null ? '' : ` [${error.code}] ${error.message}`;
  return fails(REASONS.Unreachable, `No pod reaches bucket storage. ${name} says:${why === '' ? ' nothing' : why}`);
}

/** The line with an error code that a container of a component left behind; empty when there is none. Our errors hold no secrets. */
export function lastWords(pods: readonly ObservedPod[], component: string): string {
  const texts = newestFirst(pods.filter((pod) => pod.component === component))
    .flatMap(({ pod }) => pod.status?.containerStatuses ?? [])
    .flatMap(({ state, lastState }) => [state?.terminated?.message, lastState?.terminated?.message]);
  for (const text of texts) {
    const line = text?.split('\n').findLast((line) => /PSYNC_[A-Z]\d{4}/.test(line));
    if (line !== undefined) return line.slice(Math.max(0, line.search(/\[?PSYNC_/))).slice(0, 500);
  }
  return '';
}
