/** What a client database holds, as the client core keeps it (S-403…S-427): operations by bucket, checksums, positions, visible rows. */
import { addChecksums } from '#core/protocol/checksum.ts';

export interface WireOperation {
  readonly op_id: string;
  readonly op: string;
  readonly object_type?: string | null;
  readonly object_id?: string | null;
  readonly subkey?: string | null;
  readonly checksum: number;
  readonly data?: string | object | null;
}

export interface WireBucket {
  readonly bucket: string;
  readonly checksum: number;
  readonly count: number;
  readonly priority: number;
  readonly subscriptions: readonly unknown[];
}

interface Row {
  readonly opId: bigint;
  readonly type: string;
  readonly id: string;
  readonly data: string;
}

interface StoredBucket {
  /** By (type, id, subkey); a removed row is absent. */
  readonly rows: Map<string, Row>;
  checksum: number;
  count: number;
  position: bigint;
}

export interface BucketStore {
  /** Positions for the next request; a bucket without data is not named (S-625). */
  positions(): { name: string; after: string }[];
  addOperations(bucket: string, operations: readonly WireOperation[]): void;
  deleteBucket(name: string): void;
  /** Deletes all but these (a full checkpoint, S-556). */
  keepOnly(names: ReadonlySet<string>): void;
  /** Names of buckets whose sum differs from the announced one (S-414, S-578). */
  mismatches(buckets: Iterable<WireBucket>): string[];
  /** After a valid completion: every bucket stands at the checkpoint (S-400, S-579). */
  completed(names: Iterable<string>, lastOpId: string): void;
  /** Rows as the application would see them now: for each the version with the highest op id (S-407). */
  rows(only?: (bucket: string) => boolean): Map<string, string>;
  countOf(bucket: string): number;
}

export function createBucketStore(): BucketStore {
  const buckets = new Map<string, StoredBucket>();
  const of = (name: string): StoredBucket => {
    let bucket = buckets.get(name);
    if (bucket === undefined) buckets.set(name, (bucket = { rows: new Map(), checksum: 0, count: 0, position: 0n }));
    return bucket;
  };

  const add = (bucket: StoredBucket, operation: WireOperation): void => {
    const opId = BigInt(operation.op_id);
    if (opId <= bucket.position && bucket.count > 0)
      throw new Error(`operation ${opId} came after position ${bucket.position}`);
    bucket.position = opId;
    if (operation.op === 'CLEAR') {
      bucket.rows.clear();
      bucket.checksum = operation.checksum >>> 0;
      bucket.count = 1;
      return;
    }
    bucket.checksum = addChecksums(bucket.checksum, operation.checksum);
    bucket.count++;
    if (operation.op === 'MOVE') return;
    const { object_type: type, object_id: id, subkey, data } = operation;
    if (typeof type !== 'string' || typeof id !== 'string')
      throw new Error(`${operation.op} without type or id (S-396)`);
    const key = JSON.stringify([type, id, subkey ?? 'null']);
    if (operation.op === 'REMOVE') return void bucket.rows.delete(key);
    if (operation.op !== 'PUT' || data === null || data === undefined)
      throw new Error(`unexpected operation ${operation.op} (S-394, S-395)`);
    bucket.rows.set(key, { opId, type, id, data: typeof data === 'string' ? data : JSON.stringify(data) });
  };

  return {
    positions: () =>
      [...buckets]
        .filter(([, { position }]) => position > 0n)
        .map(([name, { position }]) => ({ name, after: String(position) })),
    addOperations(name, operations) {
      const bucket = of(name);
      for (const operation of operations) add(bucket, operation);
    },
    deleteBucket: (name) => void buckets.delete(name),
    keepOnly(names) {
      for (const name of buckets.keys()) if (!names.has(name)) buckets.delete(name);
    },
    mismatches(announced) {
      const wrong: string[] = [];
      for (const { bucket, checksum } of announced)
        if ((buckets.get(bucket)?.checksum ?? 0) !== checksum >>> 0) wrong.push(bucket);
      return wrong;
    },
    completed(names, lastOpId) {
      for (const name of names) {
        const bucket = buckets.get(name);
        if (bucket !== undefined) bucket.position = BigInt(lastOpId);
      }
    },
    rows(only) {
      const newest = new Map<string, Row>();
      for (const [name, bucket] of buckets) {
        if (only !== undefined && !only(name)) continue;
        for (const row of bucket.rows.values()) {
          const key = `${row.type}/${row.id}`;
          if ((newest.get(key)?.opId ?? -1n) < row.opId) newest.set(key, row);
        }
      }
      return new Map([...newest].map(([key, row]) => [key, row.data]));
    },
    countOf: (name) => buckets.get(name)?.count ?? 0,
  };
}
