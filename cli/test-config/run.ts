/** Text of a test file -> what came of it. Nothing is read but the sync config that it names. */
import { createDiagnostics, type Diagnostics } from '#core/sync-config/compile/diagnostics.ts';
import type { Diagnostic } from '#core/sync-config/contract.ts';
import { describeDiagnostic } from '#core/sync-config/excerpt.ts';
import { compileConfig, placeInline, type CompiledConfig, type ReadSyncConfig } from './compile-config.ts';
import type { FileResult, Finding, TestFile } from './contract.ts';
import { readTestFile } from './read-file.ts';
import { runTests } from './run-tests.ts';

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
  const { file = 'test', filter, now = () => performance.now() } = options;
  const diagnostics = createDiagnostics(text);
  const findings = (): Finding[] => diagnostics.all().map((finding) => findingOf(file, text, finding));
  const test = readTestFile(text, diagnostics);
  const config = test === null ? null : await loadConfig(text, test, diagnostics, options);
  if (test === null || config === null) return { file, findings: findings(), tests: [], passed: false };

  const inConfig = (): Finding[] => config.diagnostics.map((finding) => findingOf(config.file, config.text, finding));
  const tests =
    config.plan === null ? [] : await runTests({ file: test, plan: config.plan, text, diagnostics, filter, now });
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
