/** Which objects are watched, and whose instance wants a look when one of them changes. */
import type { Clock } from '#core/platform/clock.ts';
import type { Log } from '#core/platform/log.ts';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import type { Kube, KubeObject, Place, ResourceType, Selection } from './kube/contract.ts';
import { createInformer, type Informer } from './kube/informer.ts';
import type { IndexBy } from './kube/object-cache.ts';
import { placeOf } from './kube/place.ts';
import { CONFIG_MAPS, OPTIONAL_TYPES, OWNED_TYPES, PODS, SECRETS, SYNC_INSTANCES } from './kube/resource-types.ts';
import { requiredValues } from './sync-instance/desired/desired.ts';
import { LABEL_INSTANCE, MANAGER } from './sync-instance/desired/labels.ts';
import type { ClusterView } from './sync-instance/gather.ts';
import { valueSource, type LivePod } from './sync-instance/observed.ts';
import { versionOf } from './sync-instance/referenced-values.ts';

export interface WatchOptions {
  readonly kube: Kube;
  /** Null: all. */
  readonly namespaces: readonly string[] | null;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** An instance wants a look. May not exist (any more). */
  readonly wantsLook: (place: Place) => void;
}

export interface Watches {
  readonly view: ClusterView;
  /** Resolves when all that is there is known. */
  readonly synced: Promise<void>;
  instances(): Place[];
  /** Takes in what was written before the watch shows it. */
  seen(type: ResourceType, object: KubeObject): void;
  /** Watches until the signal aborts; never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

const OURS = `app.kubernetes.io/managed-by=${MANAGER},${LABEL_INSTANCE}`;
/** Secrets are seen through their metadata alone: nobody's secret is in the memory of the operator without need. */
const OWNED_FULLY = OWNED_TYPES.filter((type) => type !== SECRETS);

/** The informers of one namespace, or of all. */
interface Scope {
  readonly instances: Informer<SyncInstance & KubeObject>;
  readonly owned: ReadonlyMap<ResourceType, Informer<KubeObject>>;
  readonly pods: Informer<LivePod>;
  /** By kind: metadata only, of everything. */
  readonly referenced: Readonly<Record<'Secret' | 'ConfigMap', Informer<KubeObject>>>;
}

export function createWatches(options: WatchOptions): Watches {
  const scopes = new Map(
    (options.namespaces ?? [null]).map((namespace) => [namespace, createScope(options, namespace)]),
  );
  const scopeOf = (namespace: string | null): Scope | undefined => scopes.get(namespace) ?? scopes.get(null);
  const all = [...scopes.values()].flatMap(({ instances, owned, pods, referenced }) => [
    ...[instances, pods, referenced.Secret, referenced.ConfigMap],
    ...owned.values(),
  ]);

  const view: ClusterView = {
    instance: (place) => scopeOf(place.namespace)?.instances.cache.get(place),
    controlledBy: (uid) =>
      [...scopes.values()].flatMap((scope) => [
        ...[...scope.owned].flatMap(([type, { cache }]) =>
          cache.by('controller', uid).map((object) => ({ type, object })),
        ),
        ...scope.referenced.Secret.cache.by('controller', uid).map((object) => ({ type: SECRETS, object })),
      ]),
    pods: (namespace, instance) => scopeOf(namespace)?.pods.cache.by('instance', `${namespace}/${instance}`) ?? [],
    version(kind, place) {
      const object = scopeOf(place.namespace)?.referenced[kind].cache.get(place);
      return object === undefined ? null : versionOf(object);
    },
  };

  return {
    view,
    synced: Promise.all(all.map(({ synced }) => synced)).then(() => undefined),
    instances: () => [...scopes.values()].flatMap(({ instances }) => [...instances.cache.all()].map(placeOf)),
    seen(type, object) {
      const scope = scopeOf(object.metadata.namespace ?? null);
      if (type === SYNC_INSTANCES) scope?.instances.cache.put(object as SyncInstance & KubeObject);
      scope?.owned.get(type)?.cache.put(object);
      const kind = type === SECRETS ? 'Secret' : type === CONFIG_MAPS ? 'ConfigMap' : null;
      if (kind !== null) scope?.referenced[kind].cache.put({ metadata: object.metadata });
    },
    async run(signal) {
      await Promise.all(all.map((informer) => informer.run(signal)));
    },
  };
}

const byController: IndexBy<KubeObject> = {
  controller: ({ metadata }) =>
    metadata.ownerReferences?.flatMap(({ controller, uid }) => (controller ? uid : [])) ?? [],
};
const byInstance: IndexBy<KubeObject> = {
  instance: ({ metadata }) => {
    const instance = metadata.labels?.[LABEL_INSTANCE];
    return instance === undefined ? [] : [`${metadata.namespace}/${instance}`];
  },
};
/** Under what an instance refers to, so that a change of that finds it. */
const byReference: IndexBy<SyncInstance & KubeObject> = { value: valuesOf };

function valuesOf(instance: SyncInstance): string[] {
  const { metadata, spec } = instance;
  const { configMapRef } = spec.syncConfig;
  const sources = [
    ...requiredValues(instance).map(({ kind, name }) => valueSource(kind, name)),
    ...(configMapRef === undefined ? [] : [valueSource('ConfigMap', configMapRef.name)]),
  ];
  return [...new Set(sources)].map((source) => `${metadata.namespace}/${source}`);
}

function createScope({ kube, clock, random, log, wantsLook }: WatchOptions, namespace: string | null): Scope {
  const informer = <T extends KubeObject>(
    type: ResourceType,
    selection: Omit<Selection, 'namespace'>,
    onChange: (object: T, previous: T | null) => void,
    indexes: IndexBy<T> = {},
  ): Informer<T> => {
    const optional = OPTIONAL_TYPES.has(type);
    const common = { kube, clock, random, log, type, indexes, onChange, optional };
    return createInformer<T>({ ...common, selection: { namespace, ...selection } });
  };
  const ofInstance = ({ metadata }: KubeObject): void => {
    const name = metadata.labels?.[LABEL_INSTANCE];
    if (name !== undefined) wantsLook({ namespace: metadata.namespace ?? null, name });
  };
  const instances = informer<SyncInstance & KubeObject>(
    SYNC_INSTANCES,
    {},
    (object) => wantsLook(placeOf(object)),
    byReference,
  );
  const referenced = (kind: 'Secret' | 'ConfigMap', type: ResourceType): Informer<KubeObject> =>
    informer<KubeObject>(
      type,
      { metadataOnly: true },
      ({ metadata }) => {
        const value = `${metadata.namespace}/${valueSource(kind, metadata.name ?? '')}`;
        for (const instance of instances.cache.by('value', value)) wantsLook(placeOf(instance));
      },
      byController,
    );
  const ours = { labelSelector: OURS };
  return {
    instances,
    owned: new Map(OWNED_FULLY.map((type) => [type, informer<KubeObject>(type, ours, ofInstance, byController)])),
    pods: informer<LivePod>(PODS, ours, ofInstance, byInstance),
    referenced: { Secret: referenced('Secret', SECRETS), ConfigMap: referenced('ConfigMap', CONFIG_MAPS) },
  };
}
