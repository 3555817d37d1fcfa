/** Runs the tests of one file: rows into buckets once, then a session per test. Nothing is read but the sync config. */
import { isCodedError, type CodedError } from '#core/platform/errors/coded-error.ts';
import { createDiagnostics, type Diagnostics } from '#core/sync-config/compile/diagnostics.ts';
import type { Diagnostic, SyncPlan } from '#core/sync-config/contract.ts';
import { createSessionResolver } from '#core/sync-config/evaluate/session-resolver.ts';
import { describeDiagnostic } from '#core/sync-config/excerpt.ts';
import { createRowFinder } from '#core/sync-config/try-out/missing-row.ts';
import { replicateRows, type ReplicatedRows } from '#core/sync-config/try-out/replicate.ts';
import { trySession, type TriedSession } from '#core/sync-config/try-out/try-session.ts';
import { checkForbidden, checkNames, reportRejected } from './check-names.ts';
import { compareSession } from './compare.ts';
import { compileConfig, placeInline, type CompiledConfig, type ReadSyncConfig } from './compile-config.ts';
import type { Difference, FileResult, Finding, TestCase, TestFile, TestResult } from './contract.ts';
import { describeMissing, listed } from './describe.ts';
import { readTestFile } from './read-file.ts';

export interface RunOptions {
  /** What the test file is called in messages. Default: `test`. */
  readonly file?: string;
  /** Reads the file that `sync_config` names. Absent: only tests with `sync_config_content` run. */
  readonly readSyncConfig?: ReadSyncConfig;
  /** Only tests whose names contain this text, in any case. */
  readonly filter?: string | undefined;
  /** Milliseconds from any start, for durations. Default: the time of this process. */
  readonly now?: () => number;
}

/**
 * Runs the text of a test file. Never throws for what the file or the sync config says: that is in the findings, and with an error among
 * them no test is run.
 */
export async function runTestText(text: string, options: RunOptions = {}): Promise<FileResult> {
  const file = options.file ?? 'test';
  const diagnostics = createDiagnostics(text);
  const findings = (): Finding[] => diagnostics.all().map((finding) => findingOf(file, text, finding));
  const test = readTestFile(text, diagnostics);
  const config = test === null ? null : await loadConfig(text, test, diagnostics, options);
  if (test === null || config === null) return { file, findings: findings(), tests: [], passed: false };

  const inConfig = (): Finding[] => config.diagnostics.map((finding) => findingOf(config.file, config.text, finding));
  const tests = config.plan === null ? [] : await runTests(test, config.plan, text, diagnostics, options);
  const all = [...findings(), ...inConfig()];
  const passed = all.every(({ level }) => level !== 'error') && tests.every((result) => result.passed);
  return { file, findings: all, tests, passed };
}

function findingOf(file: string, text: string, finding: Diagnostic): Finding {
  const { level, code, message, line, column } = finding;
  return { level, code, message, file, line, column, text: describeDiagnostic(file, text, finding) };
}

async function loadConfig(
  text: string,
  test: TestFile,
  diagnostics: Diagnostics,
  { file = 'test', readSyncConfig }: RunOptions,
): Promise<CompiledConfig | null> {
  const { config } = test;
  if (config.kind === 'inline') {
    const compiled = compileConfig(test, { file, text: config.text });
    return { ...compiled, text, diagnostics: placeInline(text, config, compiled.diagnostics) };
  }
  const report = (message: string): null => {
    diagnostics.report('error', 'PSYNC_R1305', message, config.place.start, config.place.end);
    return null;
  };
  if (readSyncConfig === undefined) return report('Files are not read here; write "sync_config_content".');
  try {
    return compileConfig(test, await readSyncConfig(config.path));
  } catch (error) {
    return report(error instanceof Error ? error.message : String(error));
  }
}

async function runTests(
  file: TestFile,
  plan: SyncPlan,
  text: string,
  diagnostics: Diagnostics,
  { filter, now = () => performance.now() }: RunOptions,
): Promise<TestResult[]> {
  checkNames(file, plan, diagnostics);
  const replicated = replicate(file, plan, diagnostics);
  if (replicated === null || diagnostics.errorCount() > 0) return [];
  reportRejected(file, plan, replicated, diagnostics);
  const finder = createRowFinder(plan, file.tables, replicated);
  const resolver = createSessionResolver(plan);
  const results: TestResult[] = [];
  for (const test of file.tests) {
    checkForbidden(test, file, plan, finder, diagnostics);
    if (filter !== undefined && !test.name.toLowerCase().includes(filter.toLowerCase())) continue;
    const start = now();
    const session = await sessionOf(() =>
      trySession(test.request, { plan, resolver, replicated, limits: file.limits }),
    );
    const explain = (stream: string, table: string, id: string): string =>
      'error' in session ? '' : describeMissing(finder.whyMissing(session, stream, table, id));
    const differences =
      'error' in session
        ? [failure(test, session.error)]
        : [...compareError(test), ...compareSession(test, session, explain)];
    const found = differences.filter((difference) => difference !== null);
    if (!('error' in session)) reportVersions(test, session, diagnostics);
    const line = text.slice(0, test.place.start).split('\n').length;
    results.push({ name: test.name, line, passed: found.length === 0, differences: found, durationMs: now() - start });
  }
  return results;
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

/** Null when the session fails as the test says. */
function failure({ error: expected }: TestCase, error: CodedError): Difference | null {
  if (expected === error.code) return null;
  const details = Array.isArray(error.details) ? ` (${listed(error.details as string[], 10)})` : '';
  return { kind: 'error', expected, actual: `${error.message}${details}` };
}

function compareError({ error: expected }: TestCase): Difference[] {
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
