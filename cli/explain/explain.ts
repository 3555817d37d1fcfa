/** Why a user has a row, or has it not: asks sync config, source, storage and sessions, and says what is nearest. */
import type { SessionView } from '#api-worker/session/report.ts';
import type { BucketStorage } from '#core/bucket-storage/contract.ts';
import type { RegisteredTable } from '#core/bucket-storage/inspection.ts';
import type { DeployedVersion } from '#core/bucket-storage/sync-config-store.ts';
import { codedError, isCodedError } from '#core/platform/errors/coded-error.ts';
import type { ReadLookups, ResolvedBucket, SyncPlan } from '#core/sync-config/contract.ts';
import { matchesTable } from '#core/sync-config/evaluate/matches-table.ts';
import { createSessionResolver } from '#core/sync-config/evaluate/session-resolver.ts';
import { explainRow, type KnownPlace } from '#core/sync-config/explain/explain-row.ts';
import type { RowExplanation, RowPlace } from '#core/sync-config/explain/contract.ts';
import { bucketNames, type BucketNames } from './bucket-names.ts';
import { chooseTable, type NamedSource, type TableName } from './choose-table.ts';
import { explainClients } from './clients.ts';
import type { ExplainRequest, Explanation, ReplicationReport, SourceReport, StoredReport } from './contract.ts';
import { readSourceRow, type AskSource, type SourceRow } from './source-row.ts';
import { storedById, storedPlaces, type StoredContext } from './stored-row.ts';
import { verdictOf } from './verdict.ts';

export interface ExplainDependencies {
  readonly storage: Pick<BucketStorage, 'configs' | 'reader' | 'inspection' | 'writeCheckpoints'>;
  readonly sources: readonly NamedSource[];
  /** How to ask the source with this tag; null: this process cannot. */
  readonly askSource: (tag: string) => AskSource;
  /** Of a session (S-384). */
  readonly limits: { readonly maxBuckets: number; readonly maxParameterResults: number };
  /** Sessions of this process; null: it serves no clients. */
  readonly sessions: ((userId: string, limit: number) => readonly SessionView[]) | null;
}

/** Operations that are read for one question. */
const MOST_BYTES = 64 * 1024 * 1024;
/** Lookups of one read. */
const LOOKUPS_PER_READ = 1000;

/**
 * Answers from the active sync config, as of the newest checkpoint. Throws PSYNC_S4104 when there is none, PSYNC_S2001 (400) when the table is
 * not clear. What cannot be found out stands in the answer; storage that does not answer makes it reject.
 */
export async function explain(request: ExplainRequest, dependencies: ExplainDependencies): Promise<Explanation> {
  const { storage, sources, askSource } = dependencies;
  const [version, checkpoint] = [await storage.configs.active(), await storage.reader.checkpoint()];
  if (version === null || checkpoint === null)
    throw codedError('PSYNC_S4104', 'No active sync config: deploy one, or wait until its first copy is done', {
      status: 422,
    });
  const plan = JSON.parse(version.plan) as SyncPlan;
  const names = bucketNames(version);
  const { op } = checkpoint;
  const read = readLookups(storage.reader, names, op);
  const { table, read: isRead, called } = chooseTable(request.table, plan, sources);
  const session = await resolveSession(plan, request, read, dependencies.limits);
  const registered = await storage.inspection.tables(table);
  const budget = { bytes: MOST_BYTES };
  const context: StoredContext = {
    reader: storage.reader,
    inspection: storage.inspection,
    version,
    plan,
    names,
    op,
    budget,
  };
  const found = await findRow(
    { request, table, isRead, plan, read, session, registered, context },
    askSource(table.source),
  );
  const clients = await explainClients({
    userId: request.session.userId,
    clientId: request.clientId,
    op,
    sources: [...new Set(version.streams.map(({ source }) => source))],
    writeCheckpoints: storage.writeCheckpoints,
    sessions: dependencies.sessions,
  });
  const replication = replicationOf(version, table, registered);
  const clientTables = clientTablesOf(plan, table, called);
  const facts = {
    request,
    table,
    session,
    names,
    replication,
    clients,
    clientTables,
    checkpoint: String(op),
    ...found,
  };
  return {
    verdict: verdictOf(facts),
    user: request.session.userId,
    version: version.version,
    checkpoint: String(op),
    table,
    source: found.source,
    session: { buckets: session.buckets?.length ?? null, refused: session.refused },
    queries: withoutData(found.queries),
    prefixes: prefixesOf(found.queries, names),
    stored: found.stored,
    replication,
    clients,
  };
}

/** The table of clients that somebody means who calls it so; else all that the source table fills (S-212). */
function clientTablesOf(plan: SyncPlan, table: TableName, called: string): ReadonlySet<string> {
  const filled = plan.buckets.flatMap(({ rules }) =>
    rules.filter((rule) => matchesTable(rule.table, table)).map(({ objectType }) => objectType ?? table.name),
  );
  return new Set(filled.includes(called) ? [called] : filled);
}

/** The row stands in the answer once, by its columns, which are cut. */
function withoutData(queries: RowExplanation | null): RowExplanation | null {
  if (queries === null) return null;
  const cut = (places: readonly RowPlace[]): RowPlace[] => places.map((place) => ({ ...place, data: null }));
  return { ...queries, places: cut(queries.places), elsewhere: cut(queries.elsewhere) };
}

function prefixesOf(queries: RowExplanation | null, names: BucketNames): Record<string, string> {
  const identities = (queries?.streams ?? []).flatMap(({ definitions }) => definitions.map(({ identity }) => identity));
  return Object.fromEntries(identities.map((identity) => [identity, names.name(identity, '')]));
}

function readLookups(reader: BucketStorage['reader'], names: BucketNames, op: number): ReadLookups {
  return async (keys) => {
    const asked = keys.map(({ identity, key }) => ({ lookup: names.lookup(identity), key }));
    const answers: (readonly string[])[] = [];
    for (let at = 0; at < asked.length; at += LOOKUPS_PER_READ)
      answers.push(...(await reader.lookups(asked.slice(at, at + LOOKUPS_PER_READ), op)));
    return answers;
  };
}

/** What a session of this user gets; beyond the limits it is refused. */
export interface SessionFacts {
  readonly buckets: readonly ResolvedBucket[] | null;
  /** Why, and the streams that contribute most. */
  readonly refused: readonly string[];
}

async function resolveSession(
  plan: SyncPlan,
  { session }: ExplainRequest,
  read: ReadLookups,
  limits: ExplainDependencies['limits'],
): Promise<SessionFacts> {
  try {
    const { buckets } = await createSessionResolver(plan).resolve(session, read, limits);
    return { buckets, refused: [] };
  } catch (error) {
    if (!isCodedError(error, 'PSYNC_S2305')) throw error;
    const details = Array.isArray(error.details) ? (error.details as unknown[]).map(String) : [];
    return { buckets: null, refused: [`[${error.code}] ${error.description}`, ...details] };
  }
}

interface RowSearch {
  readonly request: ExplainRequest;
  readonly table: TableName;
  /** A query reads the table. */
  readonly isRead: boolean;
  readonly plan: SyncPlan;
  readonly read: ReadLookups;
  readonly session: SessionFacts;
  readonly registered: readonly RegisteredTable[];
  readonly context: StoredContext;
}

/** What was found out about the row. */
export interface RowFacts {
  readonly source: SourceReport;
  readonly queries: RowExplanation | null;
  readonly stored: readonly StoredReport[];
}

/** Asks the source first; where it does not have the row, or does not answer, storage. */
async function findRow(search: RowSearch, ask: AskSource): Promise<RowFacts> {
  const { request, table, isRead, plan } = search;
  const asked = await readSourceRow(ask, { table, id: request.id, plan });
  if (!isRead) return { source: asked.report, queries: null, stored: [] };
  if (asked.row !== null) return explainFound(search, asked);
  // of a session that is refused, those that the queries of this table give
  const held = search.session.buckets ?? bucketsOf(await explainQueries(search, null, []));
  const known = await storedById(search.context, { table, id: request.id, registered: search.registered }, held);
  if (asked.report.state === 'missing' && known.key !== null && known.key !== request.id) {
    // its id is computed: its operations know its key
    const again = await readSourceRow(ask, { table, id: known.key, plan });
    const note = `by the key of its operations in storage: ${known.key}`;
    const report = { ...again.report, searched: [...asked.report.searched, note] };
    if (again.row !== null) return explainFound(search, { ...again, report });
  }
  const queries = await explainQueries(search, null, known.places);
  return { source: asked.report, queries, stored: known.stored };
}

async function explainFound(search: RowSearch, found: SourceRow): Promise<RowFacts> {
  const { row, table, report } = found;
  const usable = row?.row !== null && row?.shown === true ? row : null;
  const queries = await explainQueries(search, usable === null ? null : found, []);
  if (usable === null || table === null) return { source: report, queries, stored: [] };
  const at = { table, key: usable.key, registered: search.registered };
  return { source: report, queries, stored: await storedPlaces(search.context, at, queries.places, queries.elsewhere) };
}

function explainQueries(
  { plan, table, request, read }: RowSearch,
  found: SourceRow | null,
  known: readonly KnownPlace[],
): Promise<RowExplanation> {
  const source = found?.table ?? { ...table, columns: [] };
  return explainRow({ plan, table: source, row: found?.row?.row ?? null, known, request: request.session, read });
}

function bucketsOf({ streams }: RowExplanation): { identity: string; key: string }[] {
  return streams.flatMap(({ definitions }) =>
    definitions.flatMap(({ identity, access }) => access.flatMap(({ keys }) => keys.map((key) => ({ identity, key })))),
  );
}

function replicationOf(
  version: DeployedVersion,
  table: TableName,
  registered: readonly RegisteredTable[],
): ReplicationReport | null {
  const stream = version.streams.find(({ source }) => source === table.source);
  if (stream === undefined) return null;
  const ids = new Set(registered.map(({ id }) => id));
  const progress = stream.progress?.tables
    .filter((item) => ids.has(item.table))
    .toSorted((a, b) => b.table - a.table)[0];
  const report = stream.progress?.reports?.find(({ schema, name }) => schema === table.schema && name === table.name);
  const blocked = stream.progress?.blocked;
  return {
    position: stream.position,
    lastCommitAt: stream.lastCommitMs === null ? null : new Date(stream.lastCommitMs).toISOString(),
    snapshot: stream.progress?.snapshot ?? null,
    tableState: progress?.state ?? null,
    findings: [
      ...(blocked ? [`[${blocked.code}] ${blocked.message}`] : []),
      ...(progress?.error === undefined ? [] : [progress.error]),
      ...(report?.errors ?? []).map(({ code, message }) => `[${code}] ${message}`),
    ],
  };
}
