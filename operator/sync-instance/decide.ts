/** From what is to what is to be done: pure. One file per fact under policy/. */
import type { CompileSyncConfig } from '#core/sync-config/contract.ts';
import { DEPLOYMENTS, JOBS } from '../kube/resource-types.ts';
import { withConditions } from './conditions.ts';
import { LOOK_AGAIN_MS, type Decision, type Unwanted, type WantedObject } from './decision.ts';
import type { DesiredInput, Stage } from './desired/contract.ts';
import { desiredObjects, requiredValues } from './desired/desired.ts';
import { migrationJob } from './desired/jobs.ts';
import { names } from './desired/names.ts';
import { transitionEvents } from './events.ts';
import { decideDeletion, FINALIZER } from './finalizer.ts';
import { ownedObject } from './live-objects.ts';
import type { LiveDeployment, Observed } from './observed.ts';
import { apiVerdict, isRolledOut } from './policy/api.ts';
import { scaleApi } from './policy/autoscaling.ts';
import { resolveImage } from './policy/image.ts';
import { readyVerdict } from './policy/ready.ts';
import { openStages, progressingVerdict, rolloutState, type RolloutState } from './policy/rollout.ts';
import { hashOfValues, secretsVerdict } from './policy/secrets.ts';
import { sourceLogs, sourceLogVerdict } from './policy/source-log.ts';
import { sourceFacts, sourcesVerdict } from './policy/sources.ts';
import { jobState, MIGRATION_RETRY_MS, storageVerdict, type JobState } from './policy/storage.ts';
import { syncConfigFact } from './policy/sync-config.ts';
import { settledStatus, statusOf } from './status.ts';
import { imageOf, isCurrent, leftOver, liveDeployment, wanted } from './workloads.ts';

/** What is to be done about one instance. Equal input gives an equal decision. */
export function decide(observed: Observed, compile: CompileSyncConfig): Decision {
  const { instance, now, memory } = observed;
  const { spec, metadata } = instance;
  const live = liveDeployment(observed, names.api(metadata.name));
  const scaling = scaleApi({
    autoscaling: spec.api.autoscaling,
    replicas: spec.api.replicas,
    present: live?.spec.replicas ?? null,
    pods: observed.pods,
    memory: memory.fewerWorkers,
    now,
  });
  const input: DesiredInput = {
    instance,
    image: resolveImage(spec.image, observed.defaultImage),
    hashOfValues: hashOfValues(observed),
    apiReplicas: scaling.replicas,
    stopped: false,
    operatorNamespace: observed.operatorNamespace,
  };
  if (metadata.deletionTimestamp !== undefined) return decideDeletion(observed, input);

  const secrets = secretsVerdict(observed, requiredValues(instance));
  const isResolved = secrets.status === 'True';
  const rollout = rolloutOf(observed, input, live, isResolved);
  const syncConfig = syncConfigFact(observed, compile);
  const sources = sourceFacts(observed);
  const { logs, samples } = sourceLogs(sources, memory.logs, now);
  const storage = storageVerdict(rollout.migration, isResolved, observed);
  const api = apiVerdict(live, scaling.replicas);
  const sourcesHold = sourcesVerdict(
    sources,
    syncConfig.isServing === true || syncConfig.status.deploying !== undefined,
  );
  const verdicts = {
    Ready: readyVerdict({ storage, sources: sourcesHold, api, isServing: syncConfig.isServing !== false }),
    SecretsResolved: secrets,
    SyncConfigValid: syncConfig.valid,
    SyncConfigDeployed: syncConfig.deployed,
    StorageReady: storage,
    SourcesReady: sourcesHold,
    ApiAvailable: api,
    SourceLogSafe: sourceLogVerdict(logs),
    Progressing: progressingVerdict(rollout.state, spec.paused, memory),
  };
  const before = instance.status?.conditions ?? [];
  const fresh = statusOf({
    observed,
    conditions: withConditions(before, verdicts, { generation: metadata.generation, now }),
    sources,
    logs,
    syncConfig: syncConfig.status,
    apiDeployment: live,
    desiredReplicas: scaling.replicas,
    migratedImage: rollout.migration.state === 'succeeded' ? input.image : null,
  });
  const actions = spec.paused ? NOTHING : { ...rollout.actions, deploy: syncConfig.deploy };
  return {
    finalizer: metadata.finalizers?.includes(FINALIZER) === true ? 'keep' : 'add',
    storesToken: !observed.adminToken.exists && !spec.paused,
    ...actions,
    status: settledStatus(instance.status, fresh, now),
    current: fresh,
    events: transitionEvents(instance.status, fresh),
    againAfterMs: LOOK_AGAIN_MS,
    memory: { ...memory, fewerWorkers: scaling.memory, logs: samples },
  };
}

type Actions = Pick<Decision, 'apply' | 'create' | 'scale' | 'remove' | 'deploy'>;
const NOTHING: Actions = { apply: [], create: [], scale: [], remove: [], deploy: null };

interface Rollout {
  readonly state: RolloutState;
  readonly migration: JobState;
  readonly actions: Omit<Actions, 'deploy'>;
}

/** @param live the Deployment of the API workers; null: there is none */
function rolloutOf(observed: Observed, input: DesiredInput, live: LiveDeployment | null, isResolved: boolean): Rollout {
  const desired = desiredObjects(input).map(({ stage, object }) => ({ stage, item: wanted(object) }));
  const job = wanted(migrationJob(input));
  const migration = jobState(observed.owned, job.object.metadata.name);
  const isDone = (stage: Stage): boolean =>
    desired.filter((entry) => entry.stage === stage).every(({ item }) => isInPlace(observed, item));
  const isUpgrade = live !== null && imageOf(live) !== input.image;
  const state = rolloutState({
    isResolved,
    migration: migration.state,
    replicatorsDone: isDone('replicators'),
    isUpgrade,
    workersDone: isDone('workers'),
  });
  const open = openStages(state, isUpgrade);
  const waiting = desired.filter(({ stage }) => !open.has(stage)).map(({ item }) => item);
  return {
    state,
    migration,
    actions: {
      apply: desired.filter(({ stage }) => open.has(stage)).map(({ item }) => item),
      create: isResolved && migration.state === 'missing' ? [job] : [],
      scale: scaled(live, waiting, input.apiReplicas),
      remove: [
        ...failedMigration(migration, observed.now),
        ...leftOver(
          observed,
          desired.map(({ item }) => item),
          job.object.metadata.name,
        ),
      ],
    },
  };
}

/** The live object is as desired and, if it is a Deployment, rolled out. */
function isInPlace(observed: Observed, item: WantedObject): boolean {
  const live = ownedObject(observed.owned, item.type, item.object.metadata.name);
  if (live === undefined) return false;
  return item.type === DEPLOYMENTS ? isRolledOut(live as LiveDeployment, isCurrent(live, item)) : isCurrent(live, item);
}

/** API workers that must keep their template still follow their load. */
function scaled(live: LiveDeployment | null, waiting: readonly WantedObject[], replicas: number): Decision['scale'] {
  if (live === null || live.spec.replicas === replicas) return [];
  const { name } = live.metadata;
  const isWaiting = waiting.some(({ type, object }) => type === DEPLOYMENTS && object.metadata.name === name);
  return isWaiting ? [{ type: DEPLOYMENTS, object: live, replicas }] : [];
}

/** Tried again after a while: what stood in the way may have gone. */
function failedMigration(migration: JobState, now: number): Unwanted[] {
  if (migration.state !== 'failed' || now - migration.atMs < MIGRATION_RETRY_MS) return [];
  if (migration.job.metadata.deletionTimestamp !== undefined) return [];
  return [{ type: JOBS, object: migration.job, because: 'it failed and is tried again' }];
}
