/**
 * The Kubernetes API as the operator uses it. Objects stay plain JSON: nothing that a newer API server says is dropped.
 * Every method rejects with `KubeError` (kube-error.ts), also when no answer came in time.
 */

/** A kind of object and where its URLs begin. */
export interface ResourceType {
  /** `v1` or `group/version`. */
  readonly apiVersion: string;
  readonly kind: string;
  /** In URLs, for example `deployments`. */
  readonly plural: string;
  readonly namespaced: boolean;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** Metadata of an object that is to be applied or created. */
export interface ObjectMeta {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly uid?: string;
  /** Grows with every change of the object; see resource-version.ts. */
  readonly resourceVersion?: string;
  /** Grows with every change of what is desired; kinds without a status have none. */
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
}

export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

/** Where an object stands; `namespace` null for kinds without one. */
export interface Place {
  readonly namespace: string | null;
  readonly name: string;
}

export interface Selection {
  /** Null: all namespaces. */
  readonly namespace: string | null;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Only `metadata` is sent, so that contents (of Secrets) never get here. */
  readonly metadataOnly?: boolean;
}

export interface ObjectList {
  readonly items: readonly KubeObject[];
  /** A watch begins after this. */
  readonly resourceVersion: string;
}

/** What a watch tells. A bookmark says only how far it is. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: KubeObject;
}

export interface ApplyOptions {
  /** Who owns the fields that are applied. */
  readonly fieldManager: string;
  /** Take fields over from others instead of failing with a conflict. */
  readonly force: boolean;
  readonly subresource?: 'status';
}

export interface DeleteOptions {
  /** Fails with a conflict when another object has taken the name since. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** What happens to what the object owns. */
  readonly propagation: 'Background' | 'Foreground' | 'Orphan';
}

export interface Kube {
  /** Null when it is not there. */
  get<T extends KubeObject>(type: ResourceType, place: Place): Promise<T | null>;
  /** Read in pages, to the end, as of one resource version. */
  list(type: ResourceType, selection: Selection): Promise<ObjectList>;
  /**
   * Changes after `resourceVersion`, in order. Ends when the server ends it, and throws what it says: 410 (`Expired`) means that the changes are no
   * longer known and a new list is needed.
   */
  watch(
    type: ResourceType,
    selection: Selection & { readonly resourceVersion: string; readonly signal: AbortSignal },
  ): AsyncIterable<WatchEvent>;
  /** Fails with `AlreadyExists` when the name is taken. */
  create<T extends KubeObject>(type: ResourceType, object: T): Promise<T>;
  /** Replaces all of it; fails with `Conflict` unless `metadata.resourceVersion` is the present one. */
  replace<T extends KubeObject>(type: ResourceType, object: T): Promise<T>;
  /**
   * Server-side apply: creates the object, or changes the given fields of it. With `metadata.uid` it fails with `Conflict` unless the object is there
   * and is that one.
   */
  apply<T extends KubeObject>(type: ResourceType, object: T, options: ApplyOptions): Promise<T>;
  /**
   * JSON merge patch of an object that is there: lists are replaced. With `metadata.resourceVersion` or `metadata.uid` in it, it fails with `Conflict`
   * unless they are the present ones.
   */
  patch<T extends KubeObject>(type: ResourceType, place: Place, patch: object): Promise<T>;
  /** Resolves when the object is being deleted or is not there. */
  delete(type: ResourceType, place: Place, options: DeleteOptions): Promise<void>;
}
