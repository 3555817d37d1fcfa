/**
 * What an instance should look like in the cluster: pure functions of the resource, without I/O, clock or randomness. Equal
 * input gives equal output, byte for byte.
 *
 * Objects are what goes over the wire. Send them as they are: the serializer of @kubernetes/client-node knows some fields by
 * other names (`_from` of network policies) and would drop them.
 */
import type { V1ObjectMeta } from '@kubernetes/client-node';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';

/** An object that can be applied, owned by its instance. */
export type KubeObject<Content = object> = Content & {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: V1ObjectMeta & { name: string; namespace: string; labels: Record<string, string> };
};

/** A value in a Secret or ConfigMap of the instance's namespace, which a container gets as an environment variable. */
export interface ValueReference {
  readonly kind: 'Secret' | 'ConfigMap';
  readonly name: string;
  readonly key: string;
  /** Variable of the container. */
  readonly variable: string;
}

/**
 * When an object may be applied (O-247). `base`: always, first. `replicators` and `workers` have pods of the version that is
 * asked for: not before its migration Job has succeeded, and workers not before the replicators are ready.
 *
 * An object that must wait is neither applied nor pruned, so that what runs goes on as it is; scale it by its `scale`
 * subresource meanwhile.
 */
export type Stage = 'base' | 'replicators' | 'workers';

export interface DesiredObject {
  readonly stage: Stage;
  readonly object: KubeObject;
}

export interface DesiredInput {
  /** As read from the API server, so with all defaults. */
  readonly instance: SyncInstance;
  /** Resolved reference of the image: with tag or digest. */
  readonly image: string;
  /**
   * A hash of the values of these references, of fixed length and without the values; changes when one of them does. It rolls
   * out pods, so it must be the same in every process of the operator.
   */
  readonly hashOfValues: (references: readonly ValueReference[]) => string;
  /** Decided by scaling; all other replicas stand in the resource. */
  readonly apiReplicas: number;
  /** Before teardown: nothing may run. Deployments have no replicas, compaction is suspended. */
  readonly stopped: boolean;
  /** Where the operator's pods run, which read `/status` and deploy sync configs. Null: outside of the cluster. */
  readonly operatorNamespace: string | null;
}
