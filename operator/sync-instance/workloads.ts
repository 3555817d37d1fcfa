/** What the decisions about a running and a leaving instance have in common: objects as they should be, and what is left over. */
import { createHash } from 'node:crypto';
import type { V1CronJob, V1Deployment, V1Job, V1Pod } from '@kubernetes/client-node';
import { CONFIG_MAPS, CRON_JOBS, DEPLOYMENTS, JOBS, OWNED_TYPES, SECRETS } from '../kube/resource-types.ts';
import type { KubeObject } from '../kube/contract.ts';
import type { Unwanted, WantedObject } from './decision.ts';
import { configMapsInUse } from './desired/config-maps-in-use.ts';
import type { KubeObject as DesiredKubeObject } from './desired/contract.ts';
import { names } from './desired/names.ts';
import { ownedObject } from './live-objects.ts';
import type { LiveDeployment, Observed } from './observed.ts';

/** On every applied object: the hash of what was desired when it was applied. */
export const DESIRED_HASH = 'millrace.dev/desired-hash';

/** The object with the hash of itself. */
export function wanted(desired: DesiredKubeObject): WantedObject {
  const type = OWNED_TYPES.find(({ apiVersion, kind }) => apiVersion === desired.apiVersion && kind === desired.kind);
  if (type === undefined) throw new TypeError(`The operator does not know objects of kind ${desired.kind}`);
  const hash = createHash('sha256').update(JSON.stringify(desired)).digest('hex').slice(0, 16);
  const plain = desired as unknown as WantedObject['object'];
  const annotations = { ...plain.metadata.annotations, [DESIRED_HASH]: hash };
  return { type, object: { ...plain, metadata: { ...plain.metadata, annotations } }, hash };
}

export function liveDeployment({ owned }: Pick<Observed, 'owned'>, name: string): LiveDeployment | null {
  return (ownedObject(owned, DEPLOYMENTS, name) as LiveDeployment | undefined) ?? null;
}

export function isCurrent(live: KubeObject | null, { hash }: WantedObject): boolean {
  return live?.metadata.annotations?.[DESIRED_HASH] === hash;
}

/** The one image of its containers. */
export function imageOf(deployment: LiveDeployment | null): string | undefined {
  return deployment?.spec.template?.spec?.containers?.[0]?.image;
}

/**
 * Owned objects that nothing wants any more. Jobs but the present migration go with them; ConfigMaps stay while a pod may start with them.
 *
 * @param desired also what must still wait
 * @param migration name of the Job of now
 */
export function leftOver(observed: Observed, desired: readonly WantedObject[], migration: string | null): Unwanted[] {
  const { instance, owned, pods } = observed;
  const keyOf = (kind: string, name: string | undefined): string => `${kind}/${name}`;
  const kept = new Set(desired.map(({ type, object }) => keyOf(type.kind, object.metadata.name)));
  kept.add(keyOf(SECRETS.kind, names.adminSecret(instance.metadata.name)));
  kept.add(keyOf(JOBS.kind, names.teardown(instance.metadata.name)));
  if (migration !== null) kept.add(keyOf(JOBS.kind, migration));
  const ofType = (type: (typeof OWNED_TYPES)[number]): unknown[] =>
    owned.filter((item) => item.type === type).map(({ object }) => object);
  const inUse = configMapsInUse({
    deployments: ofType(DEPLOYMENTS) as V1Deployment[],
    cronJobs: ofType(CRON_JOBS) as V1CronJob[],
    jobs: ofType(JOBS) as V1Job[],
    pods: pods.map(({ pod }) => pod as unknown as V1Pod),
  });
  return owned.flatMap(({ type, object }): Unwanted[] => {
    if (kept.has(keyOf(type.kind, object.metadata.name)) || object.metadata.deletionTimestamp !== undefined) return [];
    if (type === CONFIG_MAPS && (inUse === null || inUse.has(object.metadata.name ?? ''))) return [];
    return [{ type, object, because: 'nothing wants it any more' }];
  });
}
