import type { AutoscalingSpec } from '#crds/sync-instance/api.ts';
import { hasEnded } from '../live-objects.ts';
import type { Memory, ObservedPod } from '../observed.ts';

/** Differences of less than a tenth change nothing, as with the HorizontalPodAutoscaler: else the number would swing. */
const TOLERANCE = 0.1;

/** What a sum of fractions may be off by: nine times a third of a worker's target is the load of three workers, not of a fourth. */
const ROUNDING = 1e-9;

export interface ScalingInput {
  readonly autoscaling: AutoscalingSpec | undefined;
  /** `spec.api.replicas`: counts without autoscaling. */
  readonly replicas: number;
  /** Of the live Deployment; null: there is none. */
  readonly present: number | null;
  readonly pods: readonly ObservedPod[];
  readonly memory: Memory['fewerWorkers'];
  readonly now: number;
}

export interface Scaling {
  readonly replicas: number;
  readonly memory: Memory['fewerWorkers'];
}

/**
 * How many API workers there should be. More at once; fewer when fewer have been enough for `scaleDownDelaySeconds`, and then as many as were needed at
 * most in that time. A worker that does not answer counts as full when others would go, and as idle when more would come: a lack of news takes nothing
 * away, and new workers that have yet to start are no reason for still more.
 */
export function scaleApi({ autoscaling, replicas, present, pods, memory, now }: ScalingInput): Scaling {
  if (autoscaling === undefined) return { replicas, memory: null };
  const { minReplicas, maxReplicas, scaleDownDelaySeconds } = autoscaling;
  const bounded = (count: number): number => Math.min(maxReplicas, Math.max(minReplicas, count));
  const workers = pods.filter(
    ({ component, isTerminating, pod }) => component === 'api' && !isTerminating && !hasEnded(pod),
  );
  // Scaled to zero by hand, or not there yet: begin with what is allowed at least.
  const current = present ?? bounded(replicas);
  if (workers.length === 0) return { replicas: bounded(current), memory: null };
  const neededWith = (silent: 0 | 1): number =>
    Math.max(
      byLoad(connectionLoad(workers, autoscaling.targetConnections, silent), current),
      byLoad(cpuLoad(workers, autoscaling.targetCPUPercent, silent), current),
    );
  const needed = bounded(Math.max(neededWith(0), Math.min(current, neededWith(1))));
  if (needed >= bounded(current)) return { replicas: needed, memory: null };
  const since = memory?.sinceMs ?? now;
  const most = Math.max(needed, memory?.most ?? needed);
  if (now - since < scaleDownDelaySeconds * 1000)
    return { replicas: bounded(current), memory: { sinceMs: since, most } };
  return { replicas: Math.min(bounded(current), most), memory: null };
}

/** Load in units of one worker's target; `silent`: that of a worker of which nothing is known. */
function connectionLoad(workers: readonly ObservedPod[], target: number, silent: number): number {
  return workers.reduce((sum, { report }) => sum + (report?.status?.api?.connections ?? silent * target) / target, 0);
}

function cpuLoad(workers: readonly ObservedPod[], percent: number | undefined, silent: number): number {
  if (percent === undefined) return 0;
  return workers.reduce((sum, { cpuShare }) => sum + (cpuShare === null ? silent : (cpuShare * 100) / percent), 0);
}

function byLoad(load: number, current: number): number {
  const isClose = current > 0 && Math.abs(load / current - 1) <= TOLERANCE;
  return isClose ? current : Math.ceil(load - ROUNDING);
}
