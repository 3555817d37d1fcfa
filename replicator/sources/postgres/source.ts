import type pg from 'pg';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { RowFault } from '../values/row-fault.ts';
import type {
  IsWanted,
  OpenResult,
  ReplicatedTable,
  Snapshot,
  Source,
  SourceDependencies,
  SourceModule,
} from '../contract.ts';
import { checkSource } from './check.ts';
import { connectPrimary, cut } from './connect.ts';
import { defaultSchema, type PostgresConnection, slotName } from './config.ts';
import { sqlState } from './errors.ts';
import { fetchRow } from './fetch-row.ts';
import { findRows } from './find-rows.ts';
import { markHead } from './head.ts';
import { createLayouts, type ReadColumns } from './layouts.ts';
import { comparePositions, positionZero } from './position.ts';
import { withoutIdentity } from './published-tables.ts';
import { fillRow } from './rows.ts';
import { readSchema } from './schema.ts';
import { createSideQueries } from './side-queries.ts';
import { createSlot, dropSlot, endBackend, readSlot, slotState, slotStatus } from './slots.ts';
import { type ExportedSnapshot, openSnapshot } from './snapshot.ts';
import { type AcknowledgedPosition, runStream } from './stream.ts';
import type { PublishedTable } from './tables.ts';
import { createTypeCatalog } from './types/catalog.ts';

/** Postgres as a source: pgoutput through a logical slot, COPY for what is there already (sources.md chapter 2). */
export const postgresSource: SourceModule<PostgresConnection> = {
  type: 'postgresql',
  defaultSchema: () => defaultSchema,
  open: openPostgresSource,
};

/** SQLSTATE of a name that is taken: not ours to drop. */
const slotExists = '42710';

function openPostgresSource(connection: PostgresConnection, dependencies: SourceDependencies): Source {
  const { log } = dependencies;
  const queries = createSideQueries(connection);
  const closing = new AbortController();
  let isWanted: IsWanted = () => true;
  let readColumns: ReadColumns = () => null;
  let blockBytes = 8_192;
  const factsOfServer = async () => {
    const facts = await queries.facts();
    blockBytes = facts.blockBytes;
    return facts;
  };
  const catalog = createTypeCatalog(
    (sql, values) => queries.run('Reading types of the source', sql, values),
    async () => (await factsOfServer()).versionNumber,
  );
  const layouts = createLayouts({
    source: connection.tag,
    catalog,
    valueOptions: dependencies.valueOptions,
    readColumns: (table) => readColumns(table),
    blockBytes: () => blockBytes,
  });
  const replicatedBytes = (bytes: number): void => dependencies.metrics?.replicatedBytes(bytes);
  const unfit = ({ schema, name }: PublishedTable, fault: RowFault): void => {
    const row = fault.code === 'PSYNC_S1002' ? 'larger than 15 MB' : 'with JSON nested deeper than 20 levels';
    log.error({ schema, table: name, ...fault }, `A row ${row} is not replicated`);
  };
  /** Tables as they were copied for a cursor, to recognise what happened to them before the stream began. */
  const copiedFor = new Map<string, readonly ReplicatedTable[]>();
  const acknowledged = new Map<string, AcknowledgedPosition>();

  const exporting = async (
    signal: AbortSignal,
    client: pg.Client,
    exportSnapshot: () => Promise<Omit<ExportedSnapshot, 'exporter'>>,
  ): Promise<Snapshot> => {
    try {
      const exported = await exportSnapshot();
      return await openSnapshot(
        { ...exported, exporter: client },
        {
          connection,
          facts: await factsOfServer(),
          layouts,
          connections: dependencies.snapshotConnections,
          isWanted: (table) => isWanted(table),
          replicatedBytes,
          unfit,
        },
        signal,
      );
    } catch (error) {
      cut(client);
      throw error;
    }
  };

  return {
    tag: connection.tag,
    comparePositions,
    check: ({ connect = true } = {}) =>
      checkSource(connection, queries, {
        connect,
        sharesServerWithStorage: dependencies.sharesServerWithStorage ?? false,
        isWanted: (table) => isWanted(table),
      }),
    schema: () => readSchema(queries, connection.tag),
    fill(change, retained) {
      const layout = layouts.byTable(change.table);
      if (layout === null) throw codedError('PSYNC_S1101', 'A change of another source cannot be completed here.');
      return fillRow(layout, change.after, change.omitted ?? [], retained);
    },
    async fetchRow(table, key) {
      const layout = layouts.byTable(table);
      return layout === null ? null : fetchRow(queries, layout, key, unfit);
    },
    async findRows(query) {
      return findRows({ queries, facts: await factsOfServer(), layouts }, query);
    },

    async createCursor(name, signal) {
      const walsender = await connectPrimary(connection, { replication: true, signal });
      const onAbort = (): void => cut(walsender);
      if (signal.aborted) onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      let asked = false;
      try {
        const snapshot = await exporting(signal, walsender, async () => {
          asked = true;
          const { position, snapshot: id } = await createSlot(walsender, name);
          return { position, id };
        });
        copiedFor.set(
          name,
          snapshot.tables.map(({ table }) => table),
        );
        return snapshot;
      } catch (error) {
        // Nobody would ever use it, and it would hold back the server's log.
        const isForeign = sqlState((error as Error).cause) === slotExists;
        if (asked && !isForeign) {
          cut(walsender);
          await endBackend(queries, (walsender as { processID?: number | null }).processID ?? 0)
            .then(() => dropSlot(queries, name))
            .catch(() => log.warn({ slot: name }, 'A replication slot that is not used could not be dropped'));
        }
        signal.throwIfAborted();
        throw error;
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    },
    async openSnapshot(signal) {
      const exporter = await connectPrimary(connection, { signal });
      return exporting(signal, exporter, async () => {
        await exporter.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
        const { rows } = await exporter.query<{ id: string }>('SELECT pg_catalog.pg_export_snapshot() AS id');
        return { id: rows[0]!.id, position: await markHead(queries) };
      });
    },
    async cursorState(name, position = null): Promise<OpenResult> {
      const facts = await factsOfServer();
      const row = await queries.using('Reading the state of the replication slot', (client) =>
        readSlot(client, facts, name),
      );
      return slotState(name, row, connection.database, position);
    },
    async stream({ cursor, position, handler, signal, known }) {
      const told: AcknowledgedPosition = { position: positionZero, moved: () => undefined };
      acknowledged.set(cursor, told);
      await factsOfServer();
      await runStream(
        {
          slot: cursor,
          position,
          handler,
          signal: AbortSignal.any([signal, closing.signal]),
          known: known ?? copiedFor.get(cursor) ?? [],
          acknowledged: told,
        },
        {
          connection,
          queries,
          layouts,
          isWanted: (table) => isWanted(table),
          unusable: (table) =>
            log.error({ code: 'PSYNC_S1150', schema: table.schema, table: table.name }, withoutIdentity(table)),
          unfit,
          replicatedBytes,
        },
      );
    },
    acknowledge(cursor, position) {
      const told = acknowledged.get(cursor);
      if (told === undefined || comparePositions(position, told.position) <= 0) return;
      told.position = position;
      told.moved();
    },
    dropCursor: (name) => dropSlot(queries, name),
    cursorName: (version, random) => slotName(connection.slotNamePrefix, version, random),

    head: () => markHead(queries),
    async heartbeat() {
      await markHead(queries);
    },
    status: (cursor) => slotStatus(queries, cursor),
    want(matches, columns) {
      isWanted = matches;
      readColumns = columns ?? (() => null);
      layouts.refresh();
    },
    async close() {
      closing.abort();
      await queries.close();
    },
  };
}
