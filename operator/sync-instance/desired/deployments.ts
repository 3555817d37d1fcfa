import type { V1Deployment, V1DeploymentStrategy, V1Probe, V1ResourceRequirements } from '@kubernetes/client-node';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import type { SourceSpec } from '#crds/sync-instance/sources.ts';
import type { DesiredInput, KubeObject } from './contract.ts';
import { componentLabels, selectorOf } from './labels.ts';
import { metadataOf, versionLabel } from './metadata.ts';
import { names } from './names.ts';
import { podTemplate } from './pod.ts';
import { HTTP_PORT, METRICS_PORT } from './ports.ts';
import type { ConfigOf } from './service-config.ts';

/** Enough to start on a small node; the limit is the baseline for production (O-222), of which the heap takes 80 % (O-226). */
const RESOURCES: V1ResourceRequirements = {
  requests: { cpu: '100m', memory: '256Mi' },
  // No limit for CPU: being throttled delays every client, and requests already share a node fairly.
  limits: { memory: '1Gi' },
};

/** A replicator releases its lease at once when it is told to stop; the rest is for a write to storage that is under way (O-11). */
const REPLICATOR_GRACE_SECONDS = 55;

/** Between what a process gives itself and SIGKILL, for its last steps. */
const LAST_STEPS_SECONDS = 5;

/**
 * A Service forgets a pod when it begins to end, but nodes hear of that a moment later. An idle worker would be gone by then, and
 * new clients be refused; so it is told to stop only afterwards. Needs no program in the image (Kubernetes 1.30).
 */
const DEREGISTRATION_SECONDS = 3;

/**
 * A new pod is ready before an old one ends, both for API workers (O-229) and for replicators: the new replicator stands by
 * until the lease is released. `Recreate` would stop replication for as long as a pod takes to start.
 */
const ROLLING: V1DeploymentStrategy = {
  type: 'RollingUpdate',
  rollingUpdate: { maxSurge: 1, maxUnavailable: 0 },
};

const probe = (kind: string, port: string, timing: Partial<V1Probe>): V1Probe => ({
  httpGet: { path: `/probes/${kind}`, port, scheme: 'HTTP' },
  timeoutSeconds: 5,
  ...timing,
});

/** O-163 … O-169. Two minutes for the start, then a process that hangs is restarted within half a minute. */
const processProbes = {
  startupProbe: probe('startup', METRICS_PORT.name, { periodSeconds: 1, failureThreshold: 120 }),
  livenessProbe: probe('liveness', METRICS_PORT.name, { periodSeconds: 10, failureThreshold: 3 }),
};

/** How many processes a source has: a standby needs Redis, which is where the lease is. */
export function replicatorCount({ spec }: SyncInstance, { replicas }: SourceSpec): number {
  return spec.redis === undefined ? Math.min(replicas, 1) : replicas;
}

/**
 * The processes that replicate one source: one leads, the others stand by and take over its lease (O-2, O-225). Without Redis no lease reaches
 * beyond a process: then it is a single one, and the next begins when it has ended.
 */
export function replicatorDeployment(
  input: DesiredInput,
  source: SourceSpec,
  configOf: ConfigOf,
): KubeObject<V1Deployment> {
  const { instance, stopped, image } = input;
  const { name } = instance.metadata;
  const labels = { ...componentLabels(name, 'replicator', source.name), ...versionLabel(image) };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadataOf(instance, names.replicator(name, source.name), labels),
    spec: {
      replicas: stopped ? 0 : replicatorCount(instance, source),
      revisionHistoryLimit: 2,
      strategy: instance.spec.redis === undefined ? { type: 'Recreate' } : ROLLING,
      selector: { matchLabels: { ...selectorOf(name, 'replicator', source.name) } },
      template: podTemplate(input, {
        component: 'replicator',
        source: source.name,
        args: ['start', '--role', 'sync', '--source', source.name, '--grace-seconds', `${REPLICATOR_GRACE_SECONDS}`],
        config: configOf('replicator'),
        settings: source,
        resources: RESOURCES,
        terminationGracePeriodSeconds: REPLICATOR_GRACE_SECONDS + LAST_STEPS_SECONDS,
        isSpread: true,
        container: {
          ports: [METRICS_PORT],
          ...processProbes,
          readinessProbe: probe('readiness', METRICS_PORT.name, { periodSeconds: 5, failureThreshold: 2 }),
        },
      }),
    },
  };
}

/**
 * The API workers (O-1). Their readiness is asked where clients connect. One that is told to stop sends its clients to others over
 * its grace period and answers newcomers PSYNC_S2003 (O-11).
 */
export function apiDeployment(input: DesiredInput, configOf: ConfigOf): KubeObject<V1Deployment> {
  const { instance, stopped, apiReplicas, image } = input;
  const { name } = instance.metadata;
  const { api } = instance.spec;
  const graceSeconds = api.terminationGracePeriodSeconds;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadataOf(instance, names.api(name), { ...componentLabels(name, 'api'), ...versionLabel(image) }),
    spec: {
      replicas: stopped ? 0 : apiReplicas,
      revisionHistoryLimit: 2,
      strategy: ROLLING,
      selector: { matchLabels: { ...selectorOf(name, 'api') } },
      template: podTemplate(input, {
        component: 'api',
        args: ['start', '--role', 'api', '--grace-seconds', `${graceSeconds}`],
        config: configOf('api'),
        settings: api,
        resources: RESOURCES,
        terminationGracePeriodSeconds: DEREGISTRATION_SECONDS + graceSeconds + LAST_STEPS_SECONDS,
        isSpread: true,
        container: {
          ports: [HTTP_PORT, METRICS_PORT],
          lifecycle: { preStop: { sleep: { seconds: DEREGISTRATION_SECONDS } } },
          ...processProbes,
          readinessProbe: probe('readiness', HTTP_PORT.name, { periodSeconds: 5, failureThreshold: 2 }),
        },
      }),
    },
  };
}
