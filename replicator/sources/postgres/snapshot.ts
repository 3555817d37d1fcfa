import type pg from 'pg';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { CopiedRow, CopyPart, IsWanted, Position, ReplicatedTable, Snapshot } from '../contract.ts';
import type { RowFault } from '../values/row-fault.ts';
import { abortable, connectPrimary, cut, endQuietly, socketOf } from './connect.ts';
import type { PostgresConnection } from './config.ts';
import { type CopyChannel, createCopyChannel } from './copy-channel.ts';
import { copyRanges, copyStatement, estimatedRows, fileNodeOf, lockStatement } from './copy-ranges.ts';
import { readCopyLine } from './copy-text.ts';
import { sourceError } from './errors.ts';
import type { Layouts } from './layouts.ts';
import { malformed } from './pgoutput.ts';
import { findTables, type FoundTable } from './published-tables.ts';
import { faultOf } from './row-limits.ts';
import { buildRow, createRowBytes, retainedValues, type RowLayout, rowKey } from './rows.ts';
import type { ServerFacts } from './server.ts';
import { type PublishedTable, qualifiedName, quoteLiteral } from './tables.ts';

/**
 * Rows are handed on in batches of about this size. What waits, at each of several connections, while a flush is under way outlives young
 * generations: with 1 MB a third of everything that was allocated did, which cost 3 µs a row and 40 MB.
 */
const batchBytes = 64 * 1024;

export interface SnapshotDependencies {
  readonly connection: PostgresConnection;
  readonly facts: ServerFacts;
  readonly layouts: Layouts;
  readonly connections: number;
  readonly isWanted: IsWanted;
  readonly replicatedBytes: (bytes: number) => void;
  /** A row that is dropped. */
  unfit(table: PublishedTable, fault: RowFault): void;
}

/** An exported snapshot: valid as long as its exporter is connected and left alone. */
export interface ExportedSnapshot {
  readonly id: string;
  readonly position: Position;
  readonly exporter: pg.Client;
}

/** A table of the snapshot with all that copying it needs. */
interface CopiedTable {
  readonly found: FoundTable;
  readonly layout: RowLayout;
}

/** Lists the wanted tables as of an exported snapshot. Takes over the exporter. */
export async function openSnapshot(
  exported: ExportedSnapshot,
  dependencies: SnapshotDependencies,
  signal: AbortSignal,
): Promise<Snapshot> {
  const { facts, layouts } = dependencies;
  const copied = new Map<ReplicatedTable, CopiedTable>();
  const readers = new Set<pg.Client>();
  try {
    const lister = await openReader(exported, dependencies, signal);
    try {
      const found = await abortable(lister, signal, () =>
        findTables(lister, facts, layouts.source, dependencies.isWanted),
      ).catch((error: unknown) => {
        throw sourceError(error, 'Listing the tables of the source');
      });
      const tables = [];
      for (const table of found.tables) {
        const layout = await layouts.of(table.published, layouts.latest(table.published.oid));
        copied.set(layout.table, { found: table, layout });
        tables.push({ table: layout.table, rowsEstimated: estimatedRows(table), ranges: copyRanges(table, facts) });
      }
      return {
        position: exported.position,
        tables,
        reports: found.reports,
        copy: (parts, handler, copySignal) => copyParts(parts, handler, copySignal),
        close,
      };
    } finally {
      endQuietly(lister);
    }
  } catch (error) {
    await close();
    throw error;
  }

  async function close(): Promise<void> {
    endQuietly(exported.exporter);
    for (const reader of readers) cut(reader);
  }

  /** Several readers take parts from one list; the first failure ends all of them. */
  async function copyParts(parts: readonly CopyPart[], handler: CopyHandler, copySignal: AbortSignal): Promise<void> {
    copySignal.throwIfAborted();
    const waiting = [...parts];
    const stop = new AbortController();
    const both = AbortSignal.any([copySignal, stop.signal]);
    const read = async (): Promise<void> => {
      const client = await openReader(exported, dependencies, both);
      readers.add(client);
      try {
        await abortable(client, both, async () => {
          const channel = withSilenceLimit(client, dependencies.connection.snapshotSocketTimeoutMs);
          for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
            both.throwIfAborted();
            await copyPart(channel, part, handler);
          }
        });
      } finally {
        readers.delete(client);
        endQuietly(client);
      }
    };
    const count = Math.max(1, Math.min(dependencies.connections, parts.length));
    const reading = Array.from({ length: parts.length === 0 ? 0 : count }, () =>
      read().catch((error: unknown) => {
        stop.abort(error);
        throw error;
      }),
    );
    const results = await Promise.allSettled(reading);
    copySignal.throwIfAborted();
    if (results.some(({ status }) => status === 'rejected')) throw stop.signal.reason;
  }

  async function copyPart(channel: RunningChannel, part: CopyPart, handler: CopyHandler): Promise<void> {
    const table = copied.get(part.table);
    if (table === undefined) throw malformed(`copy of a table that is not of this snapshot`);
    const name = qualifiedName(part.table);
    try {
      await checkFile(channel, table.found, part.range);
      await copyRows(channel, table, part, handler, dependencies);
    } catch (error) {
      throw sourceError(error, `Copying table ${name}`);
    }
    await handler.done(part);
  }
}

type RunningChannel = Pick<CopyChannel, 'run'>;

/** a statement that gives no data for this long fails with PSYNC_S1121, unless we are the ones who do not read. */
function withSilenceLimit(client: pg.Client, limitMs: number | undefined): RunningChannel {
  const channel = createCopyChannel(client);
  if (limitMs === undefined) return channel;
  return {
    async run(statement, handlers) {
      let since = performance.now();
      const look = (): void => {
        if (channel.held) since = performance.now();
        if (performance.now() - Math.max(since, channel.lastReceived) <= limitMs) return;
        const message = `no data for ${limitMs / 1000} s (snapshot_socket_timeout): timed out`;
        socketOf(client).destroy(Object.assign(new Error(message), { code: 'ETIMEDOUT' }));
      };
      const timer = setInterval(look, Math.min(1_000, limitMs / 4));
      try {
        await channel.run(statement, handlers);
      } finally {
        clearInterval(timer);
      }
    },
  };
}

type CopyHandler = Parameters<Snapshot['copy']>[1];

async function openReader(
  exported: ExportedSnapshot,
  { connection }: SnapshotDependencies,
  signal: AbortSignal,
): Promise<pg.Client> {
  const client = await connectPrimary(connection, { signal });
  try {
    await abortable(client, signal, async () => {
      await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
      await client.query(`SET TRANSACTION SNAPSHOT ${quoteLiteral(exported.id)}`);
    });
    return client;
  } catch (error) {
    cut(client);
    signal.throwIfAborted();
    throw sourceError(error, 'Joining the snapshot of the source');
  }
}

/**
 * A table that was rewritten or truncated after the snapshot looks empty in it. The lock keeps both away from now on; another file
 * shows that one of them happened before.
 */
async function checkFile(channel: RunningChannel, { published }: FoundTable, range: string): Promise<void> {
  await channel.run(lockStatement(published), { data: () => undefined });
  let fileNode = '';
  await channel.run(`COPY (SELECT pg_catalog.pg_relation_filenode(${published.oid}::oid)) TO STDOUT`, {
    data(bytes, start, end) {
      fileNode = bytes.toString('latin1', start, end).trim();
    },
  });
  if (fileNode === fileNodeOf(range)) return;
  throw codedError(
    'PSYNC_S1120',
    `Table ${qualifiedName(published)} was rewritten or truncated while it was being copied; it is copied from a new snapshot.`,
  );
}

async function copyRows(
  channel: RunningChannel,
  { found, ...copied }: CopiedTable,
  part: CopyPart,
  handler: CopyHandler,
  dependencies: SnapshotDependencies,
): Promise<void> {
  const { layouts } = dependencies;
  let { layout } = copied;
  const row = createRowBytes();
  const columns = layout.forms.length;
  let batch: CopiedRow[] = [];
  let size = 0;
  const deliver = (): void | Promise<void> => {
    if (batch.length === 0) return;
    const rows = batch;
    dependencies.replicatedBytes(size);
    batch = [];
    size = 0;
    return handler.rows(part, rows);
  };
  const build = (layout: RowLayout, bytes: number): CopiedRow => ({
    key: rowKey(layout, row),
    row: buildRow(layout, row),
    retain: retainedValues(layout, row, false),
    bytes,
  });
  const add = (copiedRow: CopiedRow): void | Promise<void> => {
    batch.push(copiedRow);
    size += copiedRow.bytes;
    return size >= batchBytes ? deliver() : undefined;
  };
  await channel.run(copyStatement(found, part.range), {
    data(bytes, start, end) {
      if (readCopyLine(bytes, start, end, row) !== columns)
        throw malformed('copied row with another number of columns');
      const fault = faultOf(layout, row, end - start);
      if (fault !== null) return dependencies.unfit(layout.published, fault);
      const copiedRow = build(layout, end - start);
      if (!layouts.isOutdated) return add(copiedRow);
      // A value did not fit its type: the type is read again, and the row built again from the bytes, which are still there.
      return layouts.reload().then(async () => {
        layout = await layouts.of(layout.published, layout);
        return add(build(layout, end - start));
      });
    },
  });
  await deliver();
}
