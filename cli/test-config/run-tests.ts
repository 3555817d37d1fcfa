/** The tests of one file: its rows go into buckets once, then each test is a session. */
import { isCodedError, type CodedError } from '#core/platform/errors/coded-error.ts';
import type { Diagnostics } from '#core/sync-config/compile/diagnostics.ts';
import type { SyncPlan } from '#core/sync-config/contract.ts';
import { createSessionResolver } from '#core/sync-config/evaluate/session-resolver.ts';
import { createRowFinder } from '#core/sync-config/try-out/missing-row.ts';
import { replicateRows, type ReplicatedRows } from '#core/sync-config/try-out/replicate.ts';
import { trySession, type TriedSession } from '#core/sync-config/try-out/try-session.ts';
import { checkNames, checkProofs, givenTables, reportRejected } from './check-names.ts';
import { compareSession } from './compare.ts';
import type { Difference, TestCase, TestFile, TestResult } from './contract.ts';
import { describeMissing, listed } from './describe.ts';

export interface TestsToRun {
  readonly file: TestFile;
  readonly plan: SyncPlan;
  /** Of the test file. */
  readonly text: string;
  /** Findings are added; with an error no test is run. */
  readonly diagnostics: Diagnostics;
  /** Only tests whose names contain this text, in any case. */
  readonly filter: string | undefined;
  /** Milliseconds from any start. */
  readonly now: () => number;
}

export async function runTests(run: TestsToRun): Promise<TestResult[]> {
  const { file, plan, text, diagnostics, filter, now } = run;
  const given = givenTables(plan, file);
  checkNames(file, plan, given, diagnostics);
  const replicated = replicate(file, plan, diagnostics);
  if (replicated === null || diagnostics.errorCount() > 0) return [];
  reportRejected(file, plan, replicated, diagnostics);
  const finder = createRowFinder(plan, file.tables, replicated);
  const resolver = createSessionResolver(plan);
  const lineAt = createLineCounter(text);
  const results: TestResult[] = [];
  for (const test of file.tests) {
    if (filter !== undefined && !test.name.toLowerCase().includes(filter.toLowerCase())) continue;
    const start = now();
    const session = await sessionOf(() =>
      trySession(test.request, { plan, resolver, replicated, limits: file.limits }),
    );
    let differences: Difference[];
    if ('error' in session) differences = compareFailure(test, session.error);
    else {
      const explain = (...row: [stream: string, table: string, id: string]): string =>
        describeMissing(finder.whyMissing(session, ...row));
      differences = [...compareSuccess(test), ...compareSession(test, session, explain)];
      checkProofs(test, session, given, finder, diagnostics);
      reportVersions(test, session, diagnostics);
    }
    const passed = differences.length === 0;
    results.push({ name: test.name, line: lineAt(test.place.start), passed, differences, durationMs: now() - start });
  }
  return results;
}

/** Lines from 1 on; quick for offsets that grow. */
function createLineCounter(text: string): (offset: number) => number {
  let at = 0;
  let line = 1;
  return (offset) => {
    if (offset < at) [at, line] = [0, 1];
    for (let next = text.indexOf('\n', at); next >= 0 && next < offset; next = text.indexOf('\n', at)) {
      at = next + 1;
      line++;
    }
    return line;
  };
}

function replicate(file: TestFile, plan: SyncPlan, diagnostics: Diagnostics): ReplicatedRows | null {
  try {
    return replicateRows(plan, file.tables);
  } catch (error) {
    if (!isCodedError(error, 'PSYNC_R1304')) throw error;
    diagnostics.report('error', 'PSYNC_R1304', error.description, 0, 1);
    return null;
  }
}

async function sessionOf(run: () => Promise<TriedSession>): Promise<TriedSession | { readonly error: CodedError }> {
  try {
    return await run();
  } catch (error) {
    if (!isCodedError(error, 'PSYNC_S2305')) throw error;
    return { error };
  }
}

function compareFailure({ error: expected }: TestCase, error: CodedError): Difference[] {
  if (expected === error.code) return [];
  const details = Array.isArray(error.details) ? ` (${listed(error.details as string[], 10)})` : '';
  return [{ kind: 'error', expected, actual: `${error.message}${details}` }];
}

function compareSuccess({ error: expected }: TestCase): Difference[] {
  return expected === null ? [] : [{ kind: 'error', expected, actual: null }];
}

/** A client keeps one row of a table and id; which one of several is not defined (S-267). */
function reportVersions({ place }: TestCase, { streams }: TriedSession, diagnostics: Diagnostics): void {
  const rows = new Map<string, { versions: Set<string>; streams: Set<string> }>();
  for (const [stream, given] of streams) {
    for (const { table, id, versions } of given) {
      const name = `${table}/${id}`;
      const row = rows.get(name) ?? { versions: new Set<string>(), streams: new Set<string>() };
      rows.set(name, row);
      for (const version of versions) row.versions.add(version);
      row.streams.add(stream);
    }
  }
  const several = [...rows].filter(([, { versions }]) => versions.size > 1);
  if (several.length === 0) return;
  const names = several.map(([name, row]) => `${name} (${[...row.streams].join(', ')})`);
  const message = `Not the same wherever it comes from: ${listed(names)}. Which one a client keeps is not defined.`;
  diagnostics.report('warning', 'PSYNC_R1303', message, place.start, place.end);
}
