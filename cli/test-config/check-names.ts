/** Does a test file fit its sync config? What it names must be there, and what it says must be able to fail. */
import { didYouMean } from '#core/platform/config/problems.ts';
import type { Diagnostics } from '#core/sync-config/compile/diagnostics.ts';
import type { SyncPlan } from '#core/sync-config/contract.ts';
import { matchesTable } from '#core/sync-config/evaluate/matches-table.ts';
import { bucketsOf, clientTables, type RowFinder } from '#core/sync-config/try-out/missing-row.ts';
import type { ReplicatedRows } from '#core/sync-config/try-out/replicate.ts';
import { ownersOf } from '#core/sync-config/try-out/try-session.ts';
import type { Place, TestCase, TestFile } from './contract.ts';
import { listed } from './describe.ts';

/** Errors for streams that do not exist; warnings for tables that no query reads or gives. */
export function checkNames(file: TestFile, plan: SyncPlan, diagnostics: Diagnostics): void {
  const given = new Map(plan.streams.map(({ name }) => [name, tablesOf(plan, name, file)]));
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
          warn(place, `Stream "${stream.name}" never gives rows of "${name}"${orRather(name, tables)}`);
      }
    }
    const all = [...new Set([...given.values()].flat())];
    for (const { name, place } of test.never)
      if (!all.includes(name)) warn(place, `No stream gives rows of "${name}"${orRather(name, all)}`);
  }
}

function tablesOf(plan: SyncPlan, stream: string, { tables }: TestFile): string[] {
  const rules = bucketsOf(plan, stream).flatMap((bucket) => bucket.rules);
  return [...new Set(rules.flatMap((rule) => clientTables(rule, tables)))];
}

function checkStream(
  name: string,
  { start, end }: Place,
  streams: ReadonlyMap<string, unknown>,
  diagnostics: Diagnostics,
): void {
  if (streams.has(name)) return;
  const message = `The sync config has no stream "${name}"${orRather(name, [...streams.keys()])}`;
  diagnostics.report('error', 'PSYNC_R1302', message, start, end);
}

function orRather(name: string, known: readonly string[]): string {
  const meant = didYouMean(name, known);
  if (meant !== null) return `; did you mean "${meant}"?`;
  return known.length === 0 ? '.' : `; there are ${listed(known, 10)}.`;
}

/** Ids under `never` that no row has: nothing could give them. */
export function checkForbidden(
  test: TestCase,
  file: TestFile,
  plan: SyncPlan,
  finder: RowFinder,
  diagnostics: Diagnostics,
): void {
  const streams = plan.streams.map(({ name }) => name);
  for (const { name: table, ids } of test.never) {
    // a table that no stream gives was said already
    if (!streams.some((stream) => tablesOf(plan, stream, file).includes(table))) continue;
    for (const { id, place } of ids) {
      if (streams.some((stream) => finder.exists(stream, table, id))) continue;
      const message = `No row in this file gives the id "${id}" to "${table}": this can never fail.`;
      diagnostics.report('warning', 'PSYNC_R1301', message, place.start, place.end);
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
