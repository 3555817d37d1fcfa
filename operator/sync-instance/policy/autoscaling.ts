import type { AutoscalingSpec } from '#crds/sync-instance/api.ts';
import type { Memory, ObservedPod } from '../observed.ts';

/** Differences of less than a tenth change nothing, as with the HorizontalPodAutoscaler: else the number would swing. */
const TOLERANCE = 0.1;

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
 * most in that time. A worker that does not answer counts as full, so that nothing is taken away because of a lack of news.
 */
export function scaleApi({ autoscaling, replicas, present, pods, memory, now }: ScalingInput): Scaling {
  if (autoscaling === undefined) return { replicas, memory: null };
  const { minReplicas, maxReplicas, scaleDownDelaySeconds } = autoscaling;
  const bounded = (count: number): number => Math.min(maxReplicas, Math.max(minReplicas, count));
  const workers = pods.filter(({ component, isTerminating }) => component === 'api' && !isTerminating);
  // Scaled to zero by hand, or not there yet: begin with what is allowed at least.
  const current = present ?? bounded(replicas);
  if (workers.length === 0) return { replicas: bounded(current), memory: null };
  const needed = bounded(
    Math.max(
      byLoad(connectionLoad(workers, autoscaling.targetConnections), current),
      byLoad(cpuLoad(workers, autoscaling.targetCPUPercent), current),
    ),
  );
  if (needed >= bounded(current)) return { replicas: needed, memory: null };
  const since = memory?.sinceMs ?? now;
  const most = Math.max(needed, memory?.most ?? needed);
  if (now - since < scaleDownDelaySeconds * 1000)
    return { replicas: bounded(current), memory: { sinceMs: since, most } };
  return { replicas: Math.min(bounded(current), most), memory: null };
}

/** Load in units of one worker's target. */
function connectionLoad(workers: readonly ObservedPod[], target: number): number {
  return workers.reduce((sum, { report }) => sum + (report?.status?.api?.connections ?? target) / target, 0);
}

function cpuLoad(workers: readonly ObservedPod[], percent: number | undefined): number {
  if (percent === undefined) return 0;
  return workers.reduce((sum, { cpuShare }) => sum + (cpuShare === null ? 1 : (cpuShare * 100) / percent), 0);
}

function byLoad(load: number, current: number): number {
  const isClose = current > 0 && Math.abs(load / current - 1) <= TOLERANCE;
  return isClose ? current : Math.ceil(load);
}
