/** Buckets of a version as storage and as clients know them. */
import type { BucketRef } from '#core/bucket-storage/contract.ts';
import type { DeployedDefinition, DeployedVersion } from '#core/bucket-storage/sync-config-store.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';

export interface BucketNames {
  ref(identity: string, key: string): BucketRef;
  /** `5#boats|0["a"]` (S-377). */
  name(identity: string, key: string): string;
  lookup(identity: string): number;
  /** Null: no bucket definition has this id. */
  identityOf(definition: number): string | null;
}

export function bucketNames({ definitions }: Pick<DeployedVersion, 'definitions'>): BucketNames {
  const known = new Map(definitions.map((definition) => [`${definition.kind} ${definition.identity}`, definition]));
  const find = (kind: DeployedDefinition['kind'], identity: string): DeployedDefinition => {
    const found = known.get(`${kind} ${identity}`);
    if (found !== undefined) return found;
    throw codedError(
      'PSYNC_S0001',
      'The plan of the active sync config names a definition that was not deployed with it.',
    );
  };
  return {
    ref: (identity, key) => ({ definition: find('bucket', identity).id, key }),
    name(identity, key) {
      const { since, name } = find('bucket', identity);
      return `${since}#${name}${key}`;
    },
    lookup: (identity) => find('lookup', identity).id,
    identityOf: (id) =>
      definitions.find((definition) => definition.kind === 'bucket' && definition.id === id)?.identity ?? null,
  };
}
