/**
 * Copies tables from a snapshot into the buckets. Flushed as it goes: with `commit` for the first copy of a stream that
 * no client sees yet (its progress is durable, R-32), without for a copy inside a live stream (published when the stream has passed it).
 */
import type { StreamCommit } from '#core/bucket-storage/contract.ts';
import type { CopyPart, ReplicatedTable, Snapshot } from '../sources/contract.ts';
import type { ChangeApplier } from './change-applier.ts';
import type { Flusher } from './flusher.ts';
import type { RowStateCache } from './row-state-cache.ts';
import { stateKeyOf, subkeyOf } from './change-applier.ts';
import type { TableBinding } from './table-binding.ts';

export interface CopyDependencies {
  readonly applier: ChangeApplier;
  readonly states: RowStateCache;
  readonly flusher: Flusher;
  binding(table: ReplicatedTable): TableBinding | null;
  /** Called as rows come in and as parts are done; keeps the stream's progress. */
  copied(table: ReplicatedTable, rows: number, bytes: number): void;
  partDone(part: CopyPart): void;
  /** What a flush of the copy commits; undefined inside a live stream. */
  commit(): StreamCommit | undefined;
}

/** `known`: rows may have been stored before (a resumed copy): their states are read first. */
export async function copyTables(
  snapshot: Snapshot,
  parts: readonly CopyPart[],
  known: boolean,
  dependencies: CopyDependencies,
  signal: AbortSignal,
): Promise<void> {
  const { applier, states, flusher } = dependencies;
  let flushing: Promise<void> | null = null;
  const flush = async (): Promise<void> => {
    const { written } = await flusher.flush(dependencies.commit());
    void written;
  };
  /** Several readers may find the buffer full at once: one of them flushes, all wait. */
  const flushOnce = (): Promise<void> => {
    flushing ??= flush().finally(() => {
      flushing = null;
    });
    return flushing;
  };
  const loadStates = async (binding: TableBinding, keys: readonly string[]): Promise<void> => {
    const groups = [...new Set([binding.retainGroup, ...binding.statefulGroups])];
    const subkeys = keys.map((key) => subkeyOf(binding.tableId, key));
    await states.load(groups.flatMap((group) => subkeys.map((subkey) => stateKeyOf(group, subkey))));
  };

  await snapshot.copy(
    parts,
    {
      async rows(part, rows) {
        const binding = dependencies.binding(part.table);
        if (!binding) return;
        while (flusher.full) await flushOnce();
        if (known) {
          const keys = rows.map((row) => row.key);
          await loadStates(binding, keys);
        }
        let bytes = 0;
        for (const row of rows) {
          applier.copied(binding, row.key, row.row, row.retain, known);
          bytes += row.bytes;
        }
        dependencies.copied(part.table, rows.length, bytes);
        if (flusher.full) await flushOnce();
      },
      done(part) {
        dependencies.partDone(part);
      },
    },
    signal,
  );
  await (flushing as Promise<void> | null);
}
