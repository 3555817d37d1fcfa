/** Everything that a decision about one instance may depend on, as it was at one moment. Plain data; made by gather.ts. */
import type { PartStatus } from '#core/platform/status/contract.ts';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import type { KubeObject, ResourceType } from '../kube/contract.ts';

export interface Observed {
  /** Wall clock, milliseconds since 1970. */
  readonly now: number;
  readonly instance: SyncInstance;
  /** Image of the data plane where the resource names none. */
  readonly defaultImage: string;
  readonly operatorNamespace: string | null;
  /** Of what the resource refers to, by `valueSource(kind, name)`; null: there is no such object. */
  readonly values: ReadonlyMap<string, ReadonlyMap<string, ValueFact> | null>;
  /** The operator's token for the admin API. `exists` false: made up just now, to be stored. */
  readonly adminToken: { readonly token: string; readonly exists: boolean };
  readonly syncConfig: SyncConfigText;
  /** Live objects of which the instance is the controller. */
  readonly owned: readonly OwnedObject[];
  /** Jobs that compaction has begun; their controller is the CronJob. */
  readonly compactionJobs: readonly LiveJob[];
  readonly pods: readonly ObservedPod[];
  readonly memory: Memory;
}

/** What is known of a value without having it: enough to see that it is there, fits, and has changed. */
export interface ValueFact {
  /** SHA-256, base64. Never leaves the process: short passwords could be guessed from it. */
  readonly digest: string;
  readonly bytes: number;
}

export function valueSource(kind: 'Secret' | 'ConfigMap', name: string): string {
  return `${kind}/${name}`;
}

export type SyncConfigText =
  | { readonly text: string; readonly missing?: undefined }
  | { readonly missing: 'ConfigMap' | 'Key'; readonly text?: undefined };

export interface OwnedObject<T extends KubeObject = KubeObject> {
  readonly type: ResourceType;
  readonly object: T;
}

export interface KubeCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

export interface LiveDeployment extends KubeObject {
  readonly spec: {
    readonly replicas?: number;
    readonly template?: { readonly spec?: { readonly containers?: readonly { readonly image?: string }[] } };
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly updatedReplicas?: number;
    readonly readyReplicas?: number;
    readonly availableReplicas?: number;
    readonly conditions?: readonly KubeCondition[];
  };
}

export interface LiveJob extends KubeObject {
  readonly status?: { readonly conditions?: readonly KubeCondition[]; readonly active?: number };
}

export interface LiveCronJob extends KubeObject {
  readonly status?: { readonly lastSuccessfulTime?: string };
}

export interface LivePod extends KubeObject {
  readonly spec?: { readonly volumes?: readonly unknown[] };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly conditions?: readonly KubeCondition[];
    readonly containerStatuses?: readonly {
      readonly restartCount?: number;
      readonly state?: ContainerState;
      readonly lastState?: ContainerState;
    }[];
  };
}

interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly terminated?: { readonly reason?: string; readonly message?: string; readonly exitCode?: number };
}

export interface ObservedPod {
  readonly pod: LivePod;
  readonly name: string;
  /** `api`, `replicator`, …; empty without label. */
  readonly component: string;
  /** Tag of the source, of replicators. */
  readonly source: string;
  readonly isReady: boolean;
  readonly isTerminating: boolean;
  /** What it says of itself; null: not asked (no address yet, or no process with a status). */
  readonly report: PartReport | null;
  /** CPU as a share of what it requests; null: not measured. */
  readonly cpuShare: number | null;
}

export type PartReport =
  | { readonly status: PartStatus; readonly problem?: undefined }
  | { readonly problem: string; readonly status?: undefined };

/**
 * What earlier looks at the same instance have left. Losing it (restart, another leader) costs time, never correctness: delays begin anew, and a sync
 * config may be deployed once more, which changes nothing (O-128).
 */
export interface Memory {
  /** Since when fewer API workers would have been enough, and the most that were needed meanwhile. */
  readonly fewerWorkers: { readonly sinceMs: number; readonly most: number } | null;
  /** By source: what the source could still write until its log is lost. */
  readonly logs: Readonly<Record<string, readonly LogSample[]>>;
  /** The last sync config that an API worker has accepted. */
  readonly deployed: { readonly revision: string; readonly atMs: number } | null;
  /** … and refused, or could not be given to. */
  readonly deployFailure: DeployFailure | null;
  /** Objects that were to be applied, but whose names belong to somebody else, as `Kind name`. */
  readonly taken: readonly string[];
  /** … or whose kind the cluster does not serve. */
  readonly unserved: readonly string[];
}

export interface LogSample {
  readonly atMs: number;
  readonly safeBytes: number;
}

export interface DeployFailure {
  readonly revision: string;
  readonly code: string | null;
  readonly message: string;
  readonly atMs: number;
}

export const NO_MEMORY: Memory = {
  ...{ fewerWorkers: null, logs: {}, deployed: null, deployFailure: null },
  ...{ taken: [], unserved: [] },
};
