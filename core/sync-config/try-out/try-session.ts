/** What a client would have after its first sync: the API worker without protocol and storage. */
import type { SessionRequest, SessionResolver } from '../contract.ts';
import type { SyncPlan } from '../plan.ts';
import type { BucketRow, ReplicatedRows } from './replicate.ts';

/** A bucket of the session, named as clients see it but for the version in front (S-374, S-377). */
export interface TriedBucket {
  readonly name: string;
  readonly identity: string;
  readonly key: string;
  readonly stream: string;
  readonly priority: number;
}

/** One row of a client table, merged from all buckets of one stream. */
export interface ClientRow {
  readonly table: string;
  readonly id: string;
  /** Distinct JSON texts: more than one when several source rows or queries give this table and id (S-267). */
  readonly versions: readonly string[];
  /** Names of the buckets that hold it. */
  readonly buckets: readonly string[];
}

export interface TriedSession {
  readonly buckets: readonly TriedBucket[];
  /** Streams that the session has, with what they give; empty ones included. */
  readonly streams: ReadonlyMap<string, readonly ClientRow[]>;
}

export interface TrySessionOptions {
  readonly plan: SyncPlan;
  /** Of the same plan. */
  readonly resolver: SessionResolver;
  readonly replicated: ReplicatedRows;
  readonly limits: { readonly maxBuckets: number; readonly maxParameterResults: number };
}

/** Rows by stream, sorted by table and id. Throws PSYNC_S2305 above the limits. */
export async function trySession(request: SessionRequest, options: TrySessionOptions): Promise<TriedSession> {
  const { plan, resolver, replicated, limits } = options;
  const resolved = await resolver.resolve(request, replicated.read, limits);
  const owners = ownersOf(plan);
  const buckets = resolved.buckets.map(({ identity, key, priority }): TriedBucket => {
    const owner = owners.get(identity);
    return { name: `${owner?.bucket ?? ''}${key}`, identity, key, stream: owner?.stream ?? '', priority };
  });
  const streams = new Map<string, readonly ClientRow[]>();
  for (const { name } of resolved.streams) {
    const own = buckets.filter(({ stream }) => stream === name);
    streams.set(
      name,
      merge(own.map((bucket) => [bucket.name, replicated.buckets(bucket.identity).get(bucket.key) ?? []])),
    );
  }
  return { buckets, streams };
}

/** Name of a bucket definition, and the stream whose queries fill it, by identity. A definition has one owner. */
export function ownersOf(plan: SyncPlan): Map<string, { readonly bucket: string; readonly stream: string }> {
  const owners = new Map<string, { bucket: string; stream: string }>();
  for (const { name, queriers } of plan.streams) {
    for (const querier of queriers) {
      const bucket = plan.buckets[querier.bucket];
      if (bucket !== undefined) owners.set(bucket.identity, { bucket: bucket.name, stream: name });
    }
  }
  return owners;
}

/** Names a row of a client: NUL is in no table name or id of a database. */
export const rowName = (table: string, id: string): string => `${table}\0${id}`;

function merge(buckets: readonly (readonly [string, readonly BucketRow[]])[]): ClientRow[] {
  const rows = new Map<string, { table: string; id: string; versions: Set<string>; buckets: Set<string> }>();
  for (const [bucket, contents] of buckets) {
    for (const { table, id, data } of contents) {
      const name = rowName(table, id);
      let row = rows.get(name);
      if (row === undefined) rows.set(name, (row = { table, id, versions: new Set(), buckets: new Set() }));
      row.versions.add(data);
      row.buckets.add(bucket);
    }
  }
  return [...rows]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, row]) => ({ ...row, versions: [...row.versions], buckets: [...row.buckets] }));
}
