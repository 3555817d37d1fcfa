import type { SourcePartStatus } from '#core/platform/status/contract.ts';
import type { SourceStatus } from '#crds/sync-instance/status.ts';
import type { Observed, ObservedPod } from '../observed.ts';
import { fails, holds, REASONS, unknown, type Verdict } from '../reasons.ts';

/** What the pods of one source say together. */
export interface SourceFact {
  readonly name: string;
  readonly state: SourceStatus['state'];
  readonly readyReplicas: number;
  /** Pod that leads. */
  readonly leader: string | null;
  /** Of the leader; of another pod, which knows what storage knows, when nobody leads. */
  readonly report: SourcePartStatus | null;
}

/** One for each source of the resource, in its order. */
export function sourceFacts({ instance, pods }: Pick<Observed, 'instance' | 'pods'>): SourceFact[] {
  return instance.spec.sources.map(({ name }) => {
    const own = pods.filter((pod) => pod.component === 'replicator' && pod.source === name);
    const reports = own.flatMap((pod) => {
      const report = pod.report?.status?.sources.find(({ tag }) => tag === name);
      return report === undefined ? [] : [{ pod, report }];
    });
    // During a hand-over two may say so for a moment: the one that does not end is right.
    const leaders = reports.filter(({ report }) => report.leader);
    const leader = leaders.find(({ pod }) => !pod.isTerminating) ?? leaders[0] ?? null;
    const told = leader ?? reports.find(({ pod }) => !pod.isTerminating) ?? null;
    return {
      name,
      state: stateOf(own, leader?.report ?? null, told?.report ?? null),
      readyReplicas: own.filter(({ isReady }) => isReady).length,
      leader: leader?.pod.name ?? null,
      report: told?.report ?? null,
    };
  });
}

function stateOf(
  own: readonly ObservedPod[],
  leader: SourcePartStatus | null,
  told: SourcePartStatus | null,
): SourceStatus['state'] {
  if (leader !== null) return leader.state;
  if (told?.state === 'Failed') return 'Failed';
  // Without an answer nothing is known; with one, nobody leads at the moment.
  return told === null && own.length > 0 ? 'Unknown' : 'Pending';
}

/** Is every source read, and do its changes arrive? */
export function sourcesVerdict(facts: readonly SourceFact[], hasSyncConfig: boolean): Verdict {
  const failed = facts.find(({ state }) => state === 'Failed');
  if (failed !== undefined) {
    const error = failed.report?.error ?? null;
    const why = error === null ? 'it does not say why; see the log of its pods.' : `[${error.code}] ${error.message}`;
    return fails(REASONS.SourceFailed, `Source ${failed.name}: ${why}`);
  }
  const waiting = facts.filter(({ state }) => state !== 'Streaming');
  // What is known to be wrong says more than what is not known.
  const first = waiting.find(({ state }) => state !== 'Unknown') ?? waiting[0];
  if (first === undefined) return holds(REASONS.Streaming, 'The changes of all sources arrive.');
  const alike = waiting.filter(({ state }) => state === first.state);
  const names = alike.map(({ name }) => name).join(', ');
  if (!hasSyncConfig)
    return fails(REASONS.NoSyncConfig, 'Sources are read as soon as a sync config is deployed: it says what is read.');
  switch (first.state) {
    case 'Unknown':
      return unknown(`No pod of these sources answers: ${names}.`);
    case 'Pending':
      return fails(REASONS.NoLeader, `No pod reads these sources yet: ${names}.`);
    case 'Copying':
      return fails(REASONS.Copying, `The first copy is on its way: ${names}.`);
    default:
      return fails(REASONS.CatchingUp, `These sources are behind: ${names}.`);
  }
}
