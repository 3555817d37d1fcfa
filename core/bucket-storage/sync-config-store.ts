/** Deployed versions of the sync config (S chapter 12, O chapter 7, O-127). */
import type { ReplicationStream } from './contract.ts';

/**
 * processing: being copied beside the active one. active: served. stopped: replaced; its own data is being cleared.
 * errored: could not be processed for good; the active one keeps serving (O-133).
 */
export type VersionState = 'processing' | 'active' | 'stopped' | 'errored';

/** A bucket or lookup definition of a plan, before it has an id. */
export interface DefinitionSpec {
  readonly kind: 'bucket' | 'lookup';
  /** Hash of everything that decides its contents; equal identity = same data, kept between versions. */
  readonly identity: string;
  /** `stream|index` for buckets; free text for lookups. */
  readonly name: string;
  /** Tag of the connection whose tables it reads. */
  readonly source: string;
}

export interface DeployedDefinition extends DefinitionSpec {
  readonly id: number;
  /** Version that created it: prefix of its bucket names (`5#boat_log|0`, S-377), and group of its row states. */
  readonly since: number;
}

export interface DeployedVersion {
  readonly version: number;
  readonly state: VersionState;
  readonly content: string;
  /** The serialised plan (core/sync-config/plan.ts). */
  readonly plan: string;
  readonly label: string | null;
  readonly definitions: readonly DeployedDefinition[];
  readonly streams: readonly ReplicationStream[];
  readonly error: string | null;
  readonly createdMs: number;
  readonly activatedMs: number | null;
}

export interface SyncConfigStore {
  /**
   * Deploys a plan. Unchanged plan: answers the version that has it and changes nothing (O-128), except for its text and label when these are
   * others (a comment was added): what is deployed can be told by its text. Definitions whose identity
   * the active version already has are kept (same id, same buckets); for each source with new definitions a stream
   * is created. A version still processing is stopped. When nothing is new, the version is active at once and uses the active streams.
   * `force`: nothing is kept for these sources (reprocess O-118, lost slot R-103).
   *
   * The newest deployment counts: giving the plan of the active version stops one that is processing. The plan of the newest version that
   * failed answers that version (state errored) and does not try again; `force` does. Definitions of equal kind, source and identity are one.
   */
  deploy(options: {
    content: string;
    plan: string;
    definitions: readonly DefinitionSpec[];
    sources: readonly string[];
    label?: string;
    force?: readonly string[];
  }): Promise<DeployedVersion>;
  active(): Promise<DeployedVersion | null>;
  processing(): Promise<DeployedVersion | null>;
  /** All versions that are neither stopped nor cleared, newest last. */
  live(): Promise<DeployedVersion[]>;
  get(version: number): Promise<DeployedVersion | null>;
  /** Changes whenever anything above may have changed: cheap to poll. */
  revision(): Promise<number>;
  /** A processing version becomes errored and its streams are abandoned; an active one stays active and shows the error. */
  fail(version: number, error: string): Promise<void>;
  /** Streams (slots) of versions that were replaced or failed, whose source side still has to be removed, then forgotten; by id. */
  abandonedStreams(source: string): Promise<ReplicationStream[]>;
  forgetStream(stream: number): Promise<void>;
}
