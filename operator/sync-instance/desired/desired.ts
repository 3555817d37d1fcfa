import type { V1Secret, V1ServiceAccount } from '@kubernetes/client-node';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import { disruptionBudgets, podMonitor } from './availability.ts';
import type { DesiredInput, DesiredObject, KubeObject, Stage, ValueReference } from './contract.ts';
import { apiDeployment, replicatorDeployment } from './deployments.ts';
import { compactionCronJob } from './jobs.ts';
import { instanceLabels } from './labels.ts';
import { metadataOf } from './metadata.ts';
import { names } from './names.ts';
import { apiService, httpRoute, ingress, networkPolicies } from './network.ts';
import { referencesOf } from './pod.ts';
import {
  ADMIN_TOKEN_KEY,
  configMap,
  configReferences,
  configsOf,
  type ConfigFor,
  type ConfigOf,
} from './service-config.ts';

const PARTS: readonly ConfigFor[] = ['api', 'replicator', 'compactor', 'migration'];

/**
 * Everything that an instance consists of, apart from its Jobs (`migrationJob`, `teardownJob`) and its admin token
 * (`adminSecret`): what is owned by the instance, labelled, and neither here nor one of these is left over and may go.
 * ConfigMaps that pods still mount are the exception, see `configMapsInUse`.
 */
export function desiredObjects(input: DesiredInput): readonly DesiredObject[] {
  const { instance } = input;
  const configOf = configsOf(instance);
  const at = (stage: Stage, objects: readonly KubeObject[]) => objects.map((object) => ({ stage, object }));
  return [
    ...at('base', [
      serviceAccount(instance),
      ...configMaps(instance, configOf),
      ...networkPolicies(input),
      apiService(input),
      ...ingress(input),
      ...httpRoute(input),
      ...disruptionBudgets(input),
      ...podMonitor(input),
    ]),
    ...at(
      'replicators',
      instance.spec.sources.map((source) => replicatorDeployment(input, source, configOf)),
    ),
    ...at('workers', [apiDeployment(input, configOf), compactionCronJob(input, configOf)]),
  ];
}

/** For the pods' identity towards cloud providers. Nothing in a pod talks to the Kubernetes API, so it has no token. */
function serviceAccount(instance: SyncInstance): KubeObject<V1ServiceAccount> {
  const { name } = instance.metadata;
  const { annotations } = instance.spec.serviceAccount;
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: metadataOf(instance, names.serviceAccount(name), instanceLabels(name), { annotations }),
    automountServiceAccountToken: false,
  };
}

/** One for each text; parts whose texts are equal share it. */
function configMaps(instance: SyncInstance, configOf: ConfigOf): KubeObject[] {
  const configs = PARTS.map(configOf);
  const byName = new Map(configs.map((config) => [config.name, configMap(instance, config)]));
  return [...byName.values()];
}

/**
 * The Secret with the operator's own token for the admin API. Create it once, with a random token; an existing one stays, and
 * who deletes it gets another, which rolls out.
 */
export function adminSecret(instance: SyncInstance, token: string): KubeObject<V1Secret> {
  const { name } = instance.metadata;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: metadataOf(instance, names.adminSecret(name), instanceLabels(name)),
    type: 'Opaque',
    data: { [ADMIN_TOKEN_KEY]: Buffer.from(token).toString('base64') },
  };
}

/**
 * Every value that the instance needs before its pods can start, each once: also the operator's own token. Kubernetes passes them as
 * environment variables, which Linux bounds: see `LONGEST_VALUE_BYTES`.
 */
export function requiredValues(instance: SyncInstance): readonly ValueReference[] {
  const { spec } = instance;
  const all = [
    ...PARTS.flatMap((part) => configReferences(instance, part)),
    ...[...spec.sources, spec.api, spec.compaction].flatMap(referencesOf),
  ];
  const keyOf = ({ kind, name, key }: ValueReference): string => `${kind}/${name}/${key}`;
  return [...new Map(all.map((reference) => [keyOf(reference), reference])).values()];
}

/** Linux starts no process with a longer variable (MAX_ARG_STRLEN is 128 KiB, with name and end). */
export const LONGEST_VALUE_BYTES = 128 * 1024 - 256;
