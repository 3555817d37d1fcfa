import type { Stage } from '../desired/contract.ts';
import type { Memory } from '../observed.ts';
import { fails, holds, REASONS, type Verdict } from '../reasons.ts';
import type { JobState } from './storage.ts';

/** Where the roll-out of what the spec says stands. States and transitions: SPEC.md. */
export type RolloutState = 'Blocked' | 'Migrating' | 'MigrationFailed' | 'Replicators' | 'Workers' | 'Complete';

export interface RolloutFacts {
  /** All values that pods need are there. */
  readonly isResolved: boolean;
  /** Of the Job for the image, storage and credentials of now. */
  readonly migration: JobState['state'];
  /** All replicators are of what is desired now and ready. */
  readonly replicatorsDone: boolean;
  /** API workers run an image that they are to leave: they wait for the replicators (O-247). */
  readonly isUpgrade: boolean;
  /** All API workers are of what is desired now and ready. */
  readonly workersDone: boolean;
}

/** Follows from what is observed alone: it may begin anywhere and be cut off anywhere. */
export function rolloutState(facts: RolloutFacts): RolloutState {
  if (!facts.isResolved) return 'Blocked';
  if (facts.migration === 'failed') return 'MigrationFailed';
  if (facts.migration !== 'succeeded') return 'Migrating';
  if (!facts.replicatorsDone) return 'Replicators';
  return facts.workersDone ? 'Complete' : 'Workers';
}

/** What may be applied. Objects of other stages stay as they are, and keep what runs running. */
export function openStages(state: RolloutState, isUpgrade: boolean): ReadonlySet<Stage> {
  switch (state) {
    case 'Blocked':
    case 'Migrating':
    case 'MigrationFailed':
      return new Set(['base']);
    case 'Replicators':
      return new Set(isUpgrade ? ['base', 'replicators'] : ['base', 'replicators', 'workers']);
    case 'Workers':
    case 'Complete':
      return new Set(['base', 'replicators', 'workers']);
  }
}

const MESSAGES: Readonly<Record<RolloutState, string>> = {
  Blocked: 'Nothing is rolled out before all referenced values are there; what ran before goes on.',
  Migrating: 'Bucket storage is prepared for what the spec says; what ran before goes on.',
  MigrationFailed: 'The roll-out has stopped because bucket storage could not be prepared; what ran before goes on.',
  Replicators: 'Replicators are rolled out.',
  Workers: 'API workers are rolled out.',
  Complete: 'What the spec says is rolled out.',
};

/** True while something changes by itself. */
export function progressingVerdict(
  state: RolloutState,
  isPaused: boolean,
  { taken, unserved }: Pick<Memory, 'taken' | 'unserved'>,
): Verdict {
  if (isPaused) return fails(REASONS.Paused, 'The operator changes nothing while spec.paused is true.');
  if (taken.length > 0)
    return fails(
      REASONS.NameTaken,
      `${firstOf(taken)} is there and does not belong to this instance; it is left alone. Remove or rename it, or rename the instance.`,
    );
  const message = MESSAGES[state];
  switch (state) {
    case 'Blocked':
      return fails(REASONS.Blocked, message);
    case 'MigrationFailed':
      return fails(REASONS.MigrationFailed, message);
    case 'Complete':
      return unserved.length === 0
        ? fails(REASONS.Complete, message)
        : fails(REASONS.KindNotServed, notServed(unserved));
    case 'Migrating':
      return holds(REASONS.Migrating, message);
    default:
      return holds(REASONS.RollingOut, message);
  }
}

function notServed(unserved: readonly string[]): string {
  return `What the spec says is rolled out, except for ${firstOf(unserved)}: the cluster does not serve that kind. Install its API, or take it out of the spec.`;
}

function firstOf(names: readonly string[]): string {
  return names.length === 1 ? names[0]! : `${names[0]} (and ${names.length - 1} more)`;
}
