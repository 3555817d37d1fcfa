import { trueCondition } from '../live-objects.ts';
import type { LiveDeployment } from '../observed.ts';
import { fails, holds, REASONS, type Verdict } from '../reasons.ts';

/** Is there an API worker that takes clients? */
export function apiVerdict(deployment: LiveDeployment | null, wanted: number): Verdict {
  if (wanted === 0)
    return fails(REASONS.ScaledToZero, 'There are to be no API workers: set api.replicas to serve clients.');
  const ready = deployment?.status?.readyReplicas ?? 0;
  // The figures stand in status.api; here they would change the message all the time.
  if (ready > 0) return holds(REASONS.Available, 'API workers take clients.');
  const why = trueCondition(deployment?.status?.conditions, 'ReplicaFailure');
  const said = why?.message === undefined ? '' : ` ${why.message}`;
  return fails(REASONS.NoReadyWorkers, `No API worker is ready.${said}`);
}

/**
 * All pods are of the present template, and nothing of the one before is left.
 *
 * @param isCurrent the live object has what is desired now
 */
export function isRolledOut({ metadata, spec, status }: LiveDeployment, isCurrent: boolean): boolean {
  const replicas = spec.replicas ?? 1;
  const { observedGeneration = 0, replicas: present = 0, updatedReplicas = 0, availableReplicas = 0 } = status ?? {};
  return (
    isCurrent &&
    observedGeneration >= (metadata.generation ?? 0) &&
    updatedReplicas >= replicas &&
    present <= updatedReplicas &&
    availableReplicas >= Math.min(1, replicas)
  );
}
