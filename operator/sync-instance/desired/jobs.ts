import type { V1CronJob, V1Job, V1ResourceRequirements } from '@kubernetes/client-node';
import type { DesiredInput, KubeObject } from './contract.ts';
import { filled } from './filled.ts';
import { componentLabels, type Component } from './labels.ts';
import { metadataOf, versionLabel } from './metadata.ts';
import { names, shortHash } from './names.ts';
import { podTemplate, type PodPlan } from './pod.ts';
import { serviceConfig, type ConfigOf } from './service-config.ts';

/** O-155: compaction takes up to 1 GB. */
const COMPACTION_RESOURCES: V1ResourceRequirements = {
  requests: { cpu: '100m', memory: '256Mi' },
  limits: { memory: '1Gi' },
};
/** O-239. */
const ONE_SHOT_RESOURCES: V1ResourceRequirements = {
  requests: { cpu: '100m', memory: '128Mi' },
  limits: { memory: '512Mi' },
};

const ONE_SHOT_GRACE_SECONDS = 30;
const MIGRATION_TIMEOUT_SECONDS = 3600;
/** Of teardown: several attempts fit into the default of `deletion.timeoutSeconds`. */
const LONGEST_ATTEMPT_SECONDS = 120;

/**
 * Compaction of bucket storage (O-154 … O-159). Two runs would be harmless (O-157), but one at a time is enough. A run that was
 * missed is made up for within an hour; later ones are not, so that nothing runs in the busy hours.
 */
export function compactionCronJob(input: DesiredInput, configOf: ConfigOf): KubeObject<V1CronJob> {
  const { instance, stopped, image } = input;
  const { name } = instance.metadata;
  const { compaction } = instance.spec;
  const labels = { ...componentLabels(name, 'compactor'), ...versionLabel(image) };
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: metadataOf(instance, names.compaction(name), labels),
    spec: {
      schedule: compaction.schedule,
      ...filled({ timeZone: compaction.timeZone }),
      suspend: stopped || compaction.suspend,
      concurrencyPolicy: 'Forbid',
      startingDeadlineSeconds: 3600,
      successfulJobsHistoryLimit: 1,
      failedJobsHistoryLimit: 2,
      jobTemplate: {
        metadata: { labels },
        spec: {
          backoffLimit: 2,
          activeDeadlineSeconds: compaction.timeoutSeconds,
          template: podTemplate(input, {
            ...oneShot('compactor', ['compact']),
            config: configOf('compactor'),
            settings: compaction,
            resources: COMPACTION_RESOURCES,
          }),
        },
      },
    },
  };
}

/**
 * `migrate up` of the image that is asked for, which also claims the storage for the instance (O-78, O-239): its uid is in the file. The name changes with
 * image, storage and credentials, so that each combination runs once, and new credentials are tried here before any pod gets them.
 *
 * A Job cannot be changed: create it when there is none of this name, never apply it again. A failed one must be deleted to run again.
 */
export function migrationJob(input: DesiredInput): KubeObject<V1Job> {
  const { instance, image } = input;
  const { name } = instance.metadata;
  const config = serviceConfig(instance, 'migration');
  const storage = serviceConfig(withoutTelemetry(instance), 'migration').hash;
  const hash = shortHash(JSON.stringify([image, storage, input.hashOfValues(config.references)]), 10);
  return job(input, {
    name: names.migration(name, hash),
    backoffLimit: 3,
    activeDeadlineSeconds: MIGRATION_TIMEOUT_SECONDS,
    plan: {
      ...oneShot('migration', ['migrate', 'up']),
      config,
      settings: jobSettings(input),
      resources: ONE_SHOT_RESOURCES,
    },
  });
}

/** Another level of logging is no reason to migrate. */
function withoutTelemetry(instance: DesiredInput['instance']): DesiredInput['instance'] {
  const telemetry = { ...instance.spec.telemetry, logLevel: 'info', logFormat: 'json' } as const;
  return { ...instance, spec: { ...instance.spec, telemetry } };
}

/**
 * Removes replication slots and, unless it is retained, bucket storage (O-7, O-254). Bounded by `deletion.timeoutSeconds`; create it
 * when nothing of the instance runs any more, and only if there is none.
 */
export function teardownJob(input: DesiredInput): KubeObject<V1Job> {
  const { instance } = input;
  const { name } = instance.metadata;
  const { policy, timeoutSeconds } = instance.spec.deletion;
  // Ends by itself before it is ended, and says what is left.
  const attemptSeconds = Math.max(5, Math.min(LONGEST_ATTEMPT_SECONDS, timeoutSeconds - ONE_SHOT_GRACE_SECONDS));
  const keep = policy === 'Retain' ? ['--keep-storage'] : [];
  return job(input, {
    name: names.teardown(name),
    backoffLimit: 5,
    activeDeadlineSeconds: timeoutSeconds,
    plan: {
      ...oneShot('teardown', ['teardown', 'TEARDOWN', ...keep, '--slots-first', '--timeout', String(attemptSeconds)]),
      config: serviceConfig(instance, 'replicator'),
      settings: jobSettings(input),
      resources: ONE_SHOT_RESOURCES,
    },
  });
}

/** Jobs run where API workers may, but need not stand apart, nor as much. */
function jobSettings({ instance }: DesiredInput): PodPlan['settings'] {
  const { api } = instance.spec;
  return { ...api, resources: { requests: {}, limits: {} }, topologySpreadConstraints: [] };
}

function oneShot(component: Component, args: readonly string[]) {
  return { component, args, restartPolicy: 'Never', terminationGracePeriodSeconds: ONE_SHOT_GRACE_SECONDS } as const;
}

interface JobPlan {
  readonly name: string;
  readonly backoffLimit: number;
  readonly activeDeadlineSeconds: number;
  readonly plan: PodPlan;
}

function job(input: DesiredInput, { name, backoffLimit, activeDeadlineSeconds, plan }: JobPlan): KubeObject<V1Job> {
  const labels = { ...componentLabels(input.instance.metadata.name, plan.component), ...versionLabel(input.image) };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: metadataOf(input.instance, name, labels),
    spec: { backoffLimit, activeDeadlineSeconds, template: podTemplate(input, plan) },
  };
}
