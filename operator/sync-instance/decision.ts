import type { SyncInstanceStatus } from '#crds/sync-instance/sync-instance.ts';
import type { KubeObject, ResourceType } from '../kube/contract.ts';
import type { EventNote } from '../kube/event-recorder.ts';
import type { Memory } from './observed.ts';

/** The parts are asked this often; what Kubernetes tells is looked at at once. */
export const LOOK_AGAIN_MS = 5000;

/** An object as it should be. */
export interface WantedObject {
  readonly type: ResourceType;
  /** Complete, with namespace and owner. */
  readonly object: KubeObject & { readonly metadata: { readonly name: string; readonly namespace: string } };
  /** Of `object`. */
  readonly hash: string;
}

/** An object that should go. */
export interface Unwanted {
  readonly type: ResourceType;
  readonly object: KubeObject;
  /** Why, for the log. */
  readonly because: string;
}

/**
 * What is to be done about one instance, in the order of the fields. Each step can be done again, and none depends on memory: whoever is cut off in the
 * middle begins anew with a new look.
 */
export interface Decision {
  /** `add` and `keep` come first; `remove` comes last: nothing outside the cluster is left. */
  readonly finalizer: 'add' | 'keep' | 'remove';
  /** Store the operator's new token for the admin API. */
  readonly storesToken: boolean;
  readonly apply: readonly WantedObject[];
  /** Jobs: made when there is none of this name, never changed. */
  readonly create: readonly WantedObject[];
  /** Replicas of Deployments whose template must stay as it is for now. */
  readonly scale: readonly { readonly object: KubeObject; readonly type: ResourceType; readonly replicas: number }[];
  readonly remove: readonly Unwanted[];
  readonly deploy: { readonly text: string; readonly revision: string } | null;
  /** To be written. Figures in it may be older than now, where the difference is not worth a write. */
  readonly status: SyncInstanceStatus;
  /** The same with the figures of now. */
  readonly current: SyncInstanceStatus;
  readonly events: readonly EventNote[];
  /** Look again after so many milliseconds; null: only when something changes. */
  readonly againAfterMs: number | null;
  readonly memory: Memory;
}
