/** Runs the reconciler by hand, one look at a time, on what the API server has at that moment: no watch, no queue, no timing. */
import { realClock } from '#core/platform/clock.ts';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import type { Kube, KubeObject, Place, ResourceType } from '../kube/contract.ts';
import { createEventRecorder } from '../kube/event-recorder.ts';
import { CONFIG_MAPS, PODS, SECRETS, SYNC_INSTANCES } from '../kube/resource-types.ts';
import { createApplier } from '../sync-instance/apply.ts';
import { createCompileCache } from '../sync-instance/compile-cache.ts';
import { createDeployToWorker } from '../sync-instance/deploy-request.ts';
import { LABEL_INSTANCE } from '../sync-instance/desired/labels.ts';
import type { ClusterView } from '../sync-instance/gather.ts';
import type { OwnedObject } from '../sync-instance/observed.ts';
import { createPartReports, type PartReports } from '../sync-instance/part-reports.ts';
import { createReconciler, type Reconciler } from '../sync-instance/reconcile.ts';
import { createReferencedValues, versionOf } from '../sync-instance/referenced-values.ts';
import { SERVED_TYPES } from './cluster.ts';
import type { DataPlane } from './data-plane.ts';

export const OPERATOR_IMAGE = 'registry.example.com/millrace:1';

export interface StepperOptions {
  readonly kube: Kube;
  readonly namespace: string;
  readonly plane: DataPlane;
  readonly image?: string;
  /** Added to the time of the machine. */
  readonly aheadMs?: () => number;
}

/** A process of the operator. Make another one to play a restart. */
export interface Stepper {
  /** One look at an instance of the namespace. */
  look(name: string): Promise<number | null>;
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };

export function createStepper({
  kube,
  namespace,
  plane,
  image = OPERATOR_IMAGE,
  aheadMs = () => 0,
}: StepperOptions): Stepper {
  const now = (): number => Date.now() + aheadMs();
  let view: ClusterView;
  const reconciler: Reconciler = createReconciler({
    gathering: {
      ...{ kube, now, defaultImage: image, operatorNamespace: null },
      view: {
        instance: (place) => view.instance(place),
        controlledBy: (uid) => view.controlledBy(uid),
        pods: (where, instance) => view.pods(where, instance),
        version: (kind, place) => view.version(kind, place),
      },
      values: createReferencedValues(kube),
      reports: freshReports(plane),
    },
    compile: createCompileCache(),
    applier: createApplier({
      ...{ kube, now, log: silent, seen: () => undefined },
      deployToWorker: createDeployToWorker(plane.apiPort),
      events: createEventRecorder({ kube, clock: realClock, random: Math.random, log: silent, instance: 'stepper' }),
    }),
    ...{ onLook: () => undefined, onGone: () => undefined },
  });
  return {
    async look(name) {
      view = await snapshot(kube, namespace);
      return reconciler.reconcile({ namespace, name });
    },
  };
}

/** Everything of a namespace as it is now. */
async function snapshot(kube: Kube, namespace: string): Promise<ClusterView> {
  const list = async (type: ResourceType): Promise<readonly KubeObject[]> =>
    (await kube.list(type, { namespace })).items;
  const [instances, pods, ...owned] = await Promise.all([list(SYNC_INSTANCES), list(PODS), ...SERVED_TYPES.map(list)]);
  const objects: OwnedObject[] = owned.flatMap((items, index) =>
    items.map((object) => ({ type: SERVED_TYPES[index]!, object })),
  );
  const isAt = ({ metadata }: KubeObject, place: Place): boolean => metadata.name === place.name;
  return {
    instance: (place) => instances.find((object) => isAt(object, place)) as SyncInstance | undefined,
    controlledBy: (uid) =>
      objects.filter(({ object }) =>
        object.metadata.ownerReferences?.some((owner) => owner.controller && owner.uid === uid),
      ),
    pods: (_namespace, instance) => pods.filter(({ metadata }) => metadata.labels?.[LABEL_INSTANCE] === instance),
    version(kind, place) {
      const type = kind === 'Secret' ? SECRETS : CONFIG_MAPS;
      const found = objects.find((item) => item.type === type && isAt(item.object, place));
      return found === undefined ? null : versionOf(found.object);
    },
  };
}

/** Asks anew each time: remembered answers of a moment ago would be a matter of timing. */
function freshReports(plane: DataPlane): PartReports {
  let time = 0;
  return createPartReports({ clock: { monotonic: () => (time += 10_000) }, port: plane.statusPort });
}
