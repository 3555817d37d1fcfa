/**
 * Takes all rows of a table out of every bucket and lookup (TRUNCATE R-112, drop and re-creation R-122, rename R-123). No list of
 * rows is kept for this rare case: the definitions' own operations say which rows are live.
 */
import { operationsOf } from '#core/bucket-storage/chunk-operations.ts';
import type { Chunk, LookupEntry, SourceWriter } from '#core/bucket-storage/contract.ts';
import { passOf } from '#core/bucket-storage/pass-of.ts';
import { stateKeyOf, type ChangeApplier } from './change-applier.ts';
import type { Flusher } from './flusher.ts';
import type { RowStateCache } from './row-state-cache.ts';
import type { TableBinding } from './table-binding.ts';

/** Live rows of one bucket held in memory at once; more are handled in several passes over the definition. */
const ROWS_PER_PASS = 200_000;
/** Removals between two looks at the buffer's limit. */
const PAGE = 2000;

interface LiveRow {
  readonly definition: number;
  readonly key: string;
  readonly subkey: string;
  readonly objectType: string;
  readonly objectId: string;
}

export interface RemovalDependencies {
  readonly writer: Pick<SourceWriter, 'scanDefinition' | 'scanLookup'>;
  readonly states: RowStateCache;
  readonly applier: ChangeApplier;
  readonly flusher: Flusher;
  readonly signal: AbortSignal;
}

/** Everything written so far must be in storage (flushed) before; removals are gathered, and flushed without commit when full. */
export async function removeTable(binding: TableBinding, dependencies: RemovalDependencies): Promise<number> {
  const prefix = `${binding.tableId}/`;
  let removed = 0;
  for (const definition of new Set(
    binding.definitions.filter((item) => item.kind === 'bucket').map((item) => item.id),
  )) {
    const passes = await passesFor(definition, dependencies);
    for (let pass = 0; pass < passes; pass++) {
      removed += await removeFromDefinition(definition, prefix, pass, passes, binding, dependencies);
    }
  }
  for (const lookup of binding.lookupIds) removed += await removeFromLookup(lookup, prefix, binding, dependencies);
  return removed;
}

async function passesFor(definition: number, { writer, signal }: RemovalDependencies): Promise<number> {
  let largest = 0;
  for await (const chunk of writer.scanDefinition(definition, signal)) largest = Math.max(largest, chunk.totals.count);
  return Math.max(1, Math.ceil(largest / ROWS_PER_PASS));
}

async function removeFromDefinition(
  definition: number,
  prefix: string,
  pass: number,
  passes: number,
  binding: TableBinding,
  dependencies: RemovalDependencies,
): Promise<number> {
  const live = new Map<string, LiveRow>();
  let bucket: string | null = null;
  let removed = 0;
  const drain = async (): Promise<void> => {
    const rows = [...live.values()];
    live.clear();
    removed += rows.length;
    for (let at = 0; at < rows.length; at += PAGE) await removeRows(rows.slice(at, at + PAGE), binding, dependencies);
  };
  for await (const chunk of dependencies.writer.scanDefinition(definition, dependencies.signal)) {
    if (bucket !== null && chunk.key !== bucket) await drain();
    bucket = chunk.key;
    followChunk(chunk, prefix, pass, passes, live);
  }
  await drain();
  return removed;
}

function followChunk(chunk: Chunk, prefix: string, pass: number, passes: number, live: Map<string, LiveRow>): void {
  for (const operation of operationsOf(chunk)) {
    const { subkey, objectType, objectId } = operation;
    if (subkey === null || objectType === null || objectId === null || !subkey.startsWith(prefix)) continue;
    if (passOf(subkey, passes) !== pass) continue;
    const name = JSON.stringify([subkey, objectType, objectId]);
    if (operation.op === 'PUT')
      live.set(name, { definition: chunk.definition, key: chunk.key, subkey, objectType, objectId });
    else live.delete(name);
  }
}

async function removeRows(
  rows: readonly LiveRow[],
  binding: TableBinding,
  { states, applier, flusher }: RemovalDependencies,
): Promise<void> {
  const groups = new Set([binding.retainGroup, ...binding.statefulGroups]);
  const keys = rows.flatMap((row) => [...groups].map((group) => stateKeyOf(group, row.subkey)));
  await states.load(keys);
  for (const row of rows) applier.remove(row, row.subkey);
  for (const key of keys) states.set(key, null);
  if (flusher.full) await flusher.flush(undefined);
}

async function removeFromLookup(
  lookup: number,
  prefix: string,
  binding: TableBinding,
  { writer, applier, states, flusher, signal }: RemovalDependencies,
): Promise<number> {
  let removed = 0;
  let last: LookupEntry | null = null;
  const groups = [binding.retainGroup, ...binding.statefulGroups];
  const withdraw = async (entry: LookupEntry | null): Promise<void> => {
    if (entry === null || entry.values === null || !entry.row.startsWith(prefix)) return;
    const keys = groups.map((group) => stateKeyOf(group, entry.row));
    await states.load(keys);
    applier.removeLookup(lookup, entry.key, entry.row);
    for (const key of keys) states.set(key, null);
    removed++;
    if (flusher.full) await flusher.flush(undefined);
  };
  for await (const entry of writer.scanLookup(lookup, signal)) {
    // Entries of one (key, row) follow each other in op order: only the last one counts.
    if (last !== null && (last.key !== entry.key || last.row !== entry.row)) await withdraw(last);
    last = entry;
  }
  await withdraw(last);
  return removed;
}
