/** Rows in, batches out: what `replicator/pipeline` does, small enough to be obviously right. */
import { addChecksums } from '#core/protocol/checksum.ts';
import { decodeOperations, encodeOperations, operationChecksum, type Operation } from '#core/protocol/operations.ts';
import type {
  BucketReader,
  BucketRef,
  BucketStorage,
  BucketTotals,
  Chunk,
  FlushBatch,
  FlushContent,
  FlushResult,
  LookupEntry,
  ReplicationStream,
  SourceWriter,
  StreamCommit,
} from '../contract.ts';
import type { DefinitionSpec, DeployedVersion } from '../sync-config-store.ts';

export interface RowChange extends BucketRef {
  readonly id: string;
  /** JSON text; null removes the row. */
  readonly data: string | null;
}

export interface Content {
  readonly rows?: readonly RowChange[];
  readonly lookups?: readonly Omit<LookupEntry, 'op'>[];
  readonly rowStates?: FlushBatch['rowStates'];
  readonly custom?: FlushBatch['customWriteCheckpoints'];
  /** Operations per chunk at the most. Default 100. */
  readonly chunkSize?: number;
}

/** A commit of `position` with the usual rest. */
export function commitAt(position: string | null, more: Partial<StreamCommit> = {}): StreamCommit {
  return { position, sourceTimeMs: null, reachedWriteCheckpoints: [], announce: false, ...more };
}

/** Writes rows with one flush; without `commit` it is not final. Afterwards the memory of its chunks has other content, as a replicator's. */
export async function write(
  writer: SourceWriter,
  stream: number,
  content: Content,
  commit?: StreamCommit,
): Promise<FlushResult> {
  const batch = await batchOf(writer, stream, content, commit);
  let built: FlushContent | null = null;
  const reuse = (): void => built?.chunks.forEach(({ operations }) => operations.fill(0xff));
  const build: FlushBatch['build'] = (firstOp) => {
    reuse();
    return (built = batch.build(firstOp));
  };
  const result = await writer.flush({ ...batch, build });
  reuse();
  return result;
}

/** The batch of `write`, not flushed yet. Totals are read now. */
export async function batchOf(
  writer: SourceWriter,
  stream: number,
  content: Content,
  commit?: StreamCommit,
): Promise<FlushBatch> {
  const rows = content.rows ?? [];
  const lookups = content.lookups ?? [];
  const buckets = distinctBuckets(rows);
  const totals = buckets.length === 0 ? [] : await writer.readTotals(buckets);
  return {
    stream,
    operations: rows.length + lookups.length,
    build: (firstOp) => buildContent(firstOp, content, buckets, totals),
    rowStates: content.rowStates ?? [],
    ...(commit && { commit }),
    ...(content.custom && { customWriteCheckpoints: content.custom }),
  };
}

function buildContent(
  firstOp: number,
  content: Content,
  buckets: readonly BucketRef[],
  totals: readonly BucketTotals[],
): FlushContent {
  const rows = content.rows ?? [];
  const operations = new Map<string, Operation[]>(buckets.map((bucket) => [bucketName(bucket), []]));
  for (const [at, row] of rows.entries()) operations.get(bucketName(row))!.push(operationOf(row, firstOp + at));
  const chunks = buckets.flatMap((bucket, index) =>
    chunksOf(bucket, operations.get(bucketName(bucket))!, totals[index]!, content.chunkSize ?? 100),
  );
  const lookups = (content.lookups ?? []).map((entry, at) => ({ ...entry, op: firstOp + rows.length + at }));
  return { chunks, lookups };
}

export function chunksOf(
  bucket: BucketRef,
  operations: readonly Operation[],
  before: BucketTotals,
  size: number,
): Chunk[] {
  const chunks: Chunk[] = [];
  let totals = before;
  for (let at = 0; at < operations.length; at += size) {
    const part = operations.slice(at, at + size);
    const checksum = part.reduce((sum, operation) => addChecksums(sum, operation.checksum), 0);
    const lastOp = part.at(-1)!.opId;
    totals = { lastOp, count: totals.count + part.length, checksum: addChecksums(totals.checksum, checksum) };
    const { definition, key } = bucket;
    const firstOp = part[0]!.opId;
    chunks.push({
      definition,
      key,
      firstOp,
      lastOp,
      count: part.length,
      checksum,
      totals,
      operations: encodeOperations(part),
    });
  }
  return chunks;
}

export function operationOf(row: RowChange, opId: number): Operation {
  const subkey = `1/${row.id}`;
  return {
    opId,
    op: row.data === null ? 'REMOVE' : 'PUT',
    objectType: 'items',
    objectId: row.id,
    subkey,
    checksum: operationChecksum('items', row.id, subkey, row.data),
    data: row.data,
  };
}

export const bucketName = (bucket: BucketRef): string => `${bucket.definition}${bucket.key}`;
export const emptyTotals: BucketTotals = { lastOp: 0, count: 0, checksum: 0 };

export function distinctBuckets(refs: readonly BucketRef[]): BucketRef[] {
  return [...new Map(refs.map(({ definition, key }) => [`${definition}${key}`, { definition, key }])).values()];
}

/** All operations of a bucket as a client at `upTo` would have received them, page by page. */
export async function readBucket(
  reader: BucketReader,
  bucket: BucketRef,
  upTo: number,
  options: { after?: number; maxBytes?: number } = {},
): Promise<Operation[]> {
  const start = options.after ?? 0;
  const operations: Operation[] = [];
  let after = start;
  for (;;) {
    const page = await reader.chunks(bucket, after, upTo, options.maxBytes ?? 1_000_000);
    for (const chunk of page.chunks) operations.push(...decodeOperations(Buffer.from(chunk.operations)));
    const last = page.chunks.at(-1);
    if (!page.more) break;
    if (last === undefined || last.lastOp <= after) throw new Error('A page with more to come must make progress');
    after = last.lastOp;
  }
  return operations.filter((operation) => operation.opId > start && operation.opId <= upTo);
}

/** Ids of the rows that the operations leave in the bucket, with their data. */
export function rowsOf(operations: readonly Operation[]): Record<string, string> {
  const rows = new Map<string, string>();
  for (const operation of operations) {
    if (operation.data === null) rows.delete(operation.objectId!);
    else rows.set(operation.objectId!, operation.data);
  }
  return Object.fromEntries(rows);
}

export function totalsOf(operations: readonly Operation[]): BucketTotals {
  return {
    lastOp: operations.at(-1)?.opId ?? 0,
    count: operations.length,
    checksum: operations.reduce((sum, operation) => addChecksums(sum, operation.checksum), 0),
  };
}

export function spec(kind: DefinitionSpec['kind'], identity: string, source = 's1'): DefinitionSpec {
  return { kind, identity, source, name: kind === 'bucket' ? `${identity}|0` : identity };
}

export interface ActiveSource {
  readonly version: DeployedVersion;
  readonly writer: SourceWriter;
  readonly stream: ReplicationStream;
  /** Id of the deployed definition with this identity. */
  id(identity: string): number;
}

/** Deploys definitions of the source `s1`, takes the source over and makes the version active at position `p0`. */
export async function activate(
  storage: BucketStorage,
  specs: readonly DefinitionSpec[] = [spec('bucket', 'b'), spec('lookup', 'l')],
): Promise<ActiveSource> {
  const sources = await activateAll(storage, specs);
  return sources.get(specs[0]?.source ?? 's1')!;
}

/** As `activate`, for all sources of the definitions. */
export async function activateAll(
  storage: BucketStorage,
  specs: readonly DefinitionSpec[],
): Promise<Map<string, ActiveSource>> {
  const tags = [...new Set(specs.map((item) => item.source))];
  const plan = JSON.stringify(specs);
  const deployed = await storage.configs.deploy({ content: plan, plan, definitions: specs, sources: tags });
  const opened: { tag: string; writer: SourceWriter; stream: ReplicationStream }[] = [];
  for (const tag of tags) {
    const writer = await storage.takeOver(tag, 'conformance');
    const stream = (await writer.streams()).find((item) => item.version === deployed.version);
    if (stream === undefined) throw new Error(`The deployment made no stream for ${tag}`);
    await writer.flush(emptyBatch(stream.id, commitAt('p0')));
    opened.push({ tag, writer, stream });
  }
  for (const { writer, stream } of opened) {
    await writer.switchOver({ version: deployed.version, from: null, to: stream.id });
  }
  const version = (await storage.configs.active())!;
  const id = (identity: string): number => definitionId(version, identity);
  return new Map(opened.map(({ tag, writer, stream }) => [tag, { version, writer, stream, id }]));
}

export function definitionId(version: DeployedVersion, identity: string): number {
  const definition = version.definitions.find((item) => item.identity === identity);
  if (definition === undefined) throw new Error(`Version ${version.version} has no definition ${identity}`);
  return definition.id;
}

export function emptyBatch(stream: number, commit?: StreamCommit): FlushBatch {
  return {
    stream,
    operations: 0,
    build: () => ({ chunks: [], lookups: [] }),
    rowStates: [],
    ...(commit && { commit }),
  };
}

/** `count` rows `prefix0`, `prefix1`, … for one bucket. */
export function rowsFor(bucket: BucketRef, prefix: string, count: number, data = '{"a":1}'): RowChange[] {
  return Array.from({ length: count }, (_, index) => ({ ...bucket, id: `${prefix}${index}`, data }));
}

export async function visibleOp(storage: BucketStorage): Promise<number> {
  return (await storage.reader.checkpoint())?.op ?? 0;
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const result: T[] = [];
  for await (const item of items) result.push(item);
  return result;
}
