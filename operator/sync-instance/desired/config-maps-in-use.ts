import type { V1CronJob, V1Deployment, V1Job, V1Pod, V1PodSpec } from '@kubernetes/client-node';

/** What is there of an instance, from the API server. */
export interface Workloads {
  readonly deployments: readonly V1Deployment[];
  readonly cronJobs: readonly V1CronJob[];
  readonly jobs: readonly V1Job[];
  readonly pods: readonly V1Pod[];
}

/**
 * Names of the ConfigMaps that may not go yet, or a pod could not start again. Null: none may, because a Deployment is rolling
 * out, and the ReplicaSets that it leaves behind still make pods of their old templates. So nobody need watch ReplicaSets.
 */
export function configMapsInUse({ deployments, cronJobs, jobs, pods }: Workloads): ReadonlySet<string> | null {
  if (!deployments.every(isRolledOut)) return null;
  const specs = [
    ...deployments.map(({ spec }) => spec?.template.spec),
    ...cronJobs.map(({ spec }) => spec?.jobTemplate.spec?.template.spec),
    ...jobs.filter((job) => !isFinished(job)).map(({ spec }) => spec?.template.spec),
    ...pods.map(({ spec }) => spec),
  ];
  return new Set(specs.flatMap(mountedBy));
}

function mountedBy(spec: V1PodSpec | undefined): string[] {
  return (spec?.volumes ?? []).flatMap(({ configMap }) => configMap?.name ?? []);
}

/** As `kubectl rollout status` says it: the controller has seen the template, and all pods there are were made of it. */
function isRolledOut({ metadata, spec, status }: V1Deployment): boolean {
  const replicas = status?.replicas ?? 0;
  return (
    (status?.observedGeneration ?? 0) >= (metadata?.generation ?? 0) &&
    replicas === (spec?.replicas ?? 1) &&
    replicas === (status?.updatedReplicas ?? 0)
  );
}

function isFinished({ status }: V1Job): boolean {
  return (status?.conditions ?? []).some(
    ({ type, status: holds }) => holds === 'True' && (type === 'Complete' || type === 'Failed'),
  );
}
