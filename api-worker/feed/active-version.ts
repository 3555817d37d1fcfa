/** The active sync config version, ready for use: its resolver, and its definitions by identity. */
import type { DeployedVersion, SyncConfigStore } from '#core/bucket-storage/sync-config-store.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { CreateSessionResolver, SessionResolver, SyncPlan } from '#core/sync-config/contract.ts';

export interface ActiveDefinition {
  readonly id: number;
  readonly prefix: string;
  /** The stream or legacy definition that it belongs to; for figures. */
  readonly stream: string;
}

export interface ActiveVersion {
  readonly version: number;
  readonly resolver: SessionResolver;
  /** Bucket definitions by identity. A bucket's name on the wire is `prefix` and its key (S-377). */
  readonly buckets: ReadonlyMap<string, ActiveDefinition>;
  /** Ids of lookup definitions by identity. */
  readonly lookups: ReadonlyMap<string, number>;
}

/** Loads versions; the last one is remembered. Throws PSYNC_S0001 for a plan that this release cannot read. */
export function createVersionLoader(
  configs: Pick<SyncConfigStore, 'get'>,
  createResolver: CreateSessionResolver,
): (version: number) => Promise<ActiveVersion> {
  let last: ActiveVersion | null = null;
  return async (version) => {
    if (last?.version === version) return last;
    const deployed = await configs.get(version);
    if (deployed === null) {
      throw codedError(
        'PSYNC_S0001',
        `Sync config version ${version} is active but not stored. Bucket storage was changed by something else.`,
      );
    }
    last = prepare(deployed, createResolver);
    return last;
  };
}

function prepare(deployed: DeployedVersion, createResolver: CreateSessionResolver): ActiveVersion {
  const buckets = new Map<string, ActiveDefinition>();
  const lookups = new Map<string, number>();
  for (const { kind, identity, id, since, name } of deployed.definitions) {
    if (kind === 'bucket')
      buckets.set(identity, { id, prefix: `${since}#${name}`, stream: name.replace(/\|\d+$/, '') });
    else lookups.set(identity, id);
  }
  return {
    version: deployed.version,
    resolver: createResolver(JSON.parse(deployed.plan) as SyncPlan),
    buckets,
    lookups,
  };
}
