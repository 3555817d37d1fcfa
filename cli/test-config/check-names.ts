/** Does a test file fit its sync config? What it names must be there, and what it says must be able to fail. */
import { didYouMean } from '#core/platform/config/problems.ts';
import type { Diagnostics } from '#core/sync-config/compile/diagnostics.ts';
import type { SyncPlan } from '#core/sync-config/contract.ts';
import { matchesTable } from '#core/sync-config/evaluate/matches-table.ts';
import { bucketsOf, clientTablesOf, type RowFinder } from '#core/sync-config/try-out/missing-row.ts';
import type { ReplicatedRows } from '#core/sync-config/try-out/replicate.ts';
import { ownersOf, type TriedSession } from '#core/sync-config/try-out/try-session.ts';
import type { Place, TestCase, TestFile } from './contract.ts';
import { listed } from './describe.ts';

/** Names of the client tables that each stream fills. */
export type GivenTables = ReadonlyMap<string, readonly string[]>;

export function givenTables(plan: SyncPlan, file: TestFile): GivenTables {
  return new Map(plan.streams.map(({ name }) => [name, clientTablesOf(bucketsOf(plan, name), file.tables)]));
}

/** Errors for streams that do not exist; warnings for tables that no query reads or gives. */
export function checkNames(file: TestFile, plan: SyncPlan, given: GivenTables, diagnostics: Diagnostics): void {
  const warn = (place: Place, message: string): void =>
    diagnostics.report('warning', 'PSYNC_R1301', message, place.start, place.end);
  for (const table of file.tables) {
    if (plan.tables.some((pattern) => matchesTable(pattern, table))) continue;
    warn(table.place, `No query reads "${table.written}" (${table.schema}.${table.name} of source ${table.source}).`);
  }
  for (const test of file.tests) {
    for (const [at, { stream }] of test.request.subscriptions.entries())
      checkStream(stream, test.subscriptionPlaces[at] ?? test.place, given, diagnostics);
    for (const stream of test.expect ?? []) {
      checkStream(stream.name, stream.place, given, diagnostics);
      const tables = given.get(stream.name) ?? [];
      // with rows the test fails, and says why
      for (const { name, place, rows } of stream.tables) {
        if (rows.length === 0 && !tables.includes(name))
          warn(place, `Stream "${stream.name}" never gives rows of "${name}"${orRather(name, tables, 'it gives')}`);
      }
    }
    const all = [...new Set([...given.values()].flat())];
    for (const { name, place } of test.never)
      if (!all.includes(name)) warn(place, `No stream gives rows of "${name}"${orRather(name, all, 'they give')}`);
  }
}

function checkStream(name: string, { start, end }: Place, streams: GivenTables, diagnostics: Diagnostics): void {
  if (streams.has(name)) return;
  const message = `The sync config has no stream "${name}"${orRather(name, [...streams.keys()], 'it has')}`;
  diagnostics.report('error', 'PSYNC_R1302', message, start, end);
}

function orRather(name: string, known: readonly string[], has: string): string {
  const meant = didYouMean(name, known);
  if (meant !== null) return `; did you mean "${meant}"?`;
  return known.length === 0 ? '.' : `; ${has} ${listed(known, 10)}.`;
}

/** What a test says about a session that could not be otherwise: it proves nothing (warnings). */
export function checkProofs(
  test: TestCase,
  session: TriedSession,
  given: GivenTables,
  finder: RowFinder,
  diagnostics: Diagnostics,
): void {
  const warn = (place: Place, message: string): void =>
    diagnostics.report('warning', 'PSYNC_R1301', message, place.start, place.end);
  for (const { name, place, tables } of test.expect ?? []) {
    // with rows the test fails, and says why
    if (session.streams.has(name) || tables.some(({ rows }) => rows.length > 0)) continue;
    warn(place, `This can never fail: the session does not have stream "${name}". Name it under "subscriptions".`);
  }
  for (const { name: table, ids } of test.never) {
    const streams = [...given].filter(([, tables]) => tables.includes(table)).map(([stream]) => stream);
    // that there are none was said for the table
    for (const { id, place } of streams.length === 0 ? [] : ids) {
      const possible = streams.filter((stream) => finder.exists(stream, table, id));
      if (possible.length === 0)
        warn(place, `This can never fail: no row in this file gives the id "${id}" to "${table}".`);
      else if (!possible.some((stream) => session.streams.has(stream)))
        warn(
          place,
          `This can never fail: only ${listed(possible)} could give the row, and the session does not have it.`,
        );
    }
  }
}

/** Rows that a replicator would leave out (S-265, S-641). */
export function reportRejected(
  file: TestFile,
  plan: SyncPlan,
  replicated: ReplicatedRows,
  diagnostics: Diagnostics,
): void {
  const owners = ownersOf(plan);
  for (const { identity, code, reason, origin } of replicated.rejected) {
    const place = file.tables[origin.table]?.rowPlaces[origin.row] ?? { start: 0, end: 1 };
    const stream = owners.get(identity)?.stream;
    const where = stream === undefined ? 'an event' : `stream "${stream}"`;
    diagnostics.report(
      'warning',
      'PSYNC_R1303',
      `The row is left out of ${where}: ${reason} (${code}).`,
      place.start,
      place.end,
    );
  }
}
