/** `millrace test [files or folders…]`: the sync config as tested code. Needs no database and no service. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { FileResult, Finding } from './contract.ts';
import { findTestFiles } from './find-files.ts';
import { coloured, humanFile, humanSummary, plain } from './human-report.ts';
import { junitReport } from './junit-report.ts';
import { jsonReport, type RunResult } from './report.ts';
import { runTestText } from './run.ts';

export interface TestOptions {
  readonly paths: readonly string[];
  /** Where relative paths start, and where files are looked for when no path is given. */
  readonly workingFolder: string;
  readonly output: 'human' | 'json' | 'junit';
  /** Only tests whose names contain this text. */
  readonly filter?: string | undefined;
  readonly colours: boolean;
  readonly print: (text: string) => void;
}

/** Bytes of a test file or sync config; what they may hold is checked when they are read. */
const MAX_BYTES = 20_000_000;

/** Answers whether at least one test ran and all passed. */
export async function testSyncConfigs(options: TestOptions): Promise<boolean> {
  const { paths, workingFolder, output, filter, colours, print } = options;
  const paint = colours ? coloured : plain;
  const found = await findTestFiles(paths, workingFolder);
  const problems = [...found.problems];
  const files: FileResult[] = [];
  const isNew = oncePerConfig();
  for (const file of found.files) {
    let text: string;
    try {
      text = await readBounded(resolve(workingFolder, file));
    } catch (error) {
      problems.push(`${file}: ${messageOf(error)}`);
      continue;
    }
    const result = await runTestText(text, { file, filter, readSyncConfig: configReader(workingFolder, file) });
    // with a filter most files have nothing to say
    if (filter !== undefined && result.passed && result.tests.length === 0) continue;
    files.push(result);
    if (output === 'human') print(humanFile({ ...result, findings: result.findings.filter(isNew) }, paint));
  }
  const tests = files.flatMap((result) => result.tests);
  if (filter !== undefined && problems.length === 0 && tests.length === 0 && files.every(({ passed }) => passed))
    problems.push(`No test has "${filter}" in its name.`);
  const passed = tests.filter((test) => test.passed).length;
  const ok = passed > 0 && problems.length === 0 && files.every((result) => result.passed);
  const result: RunResult = { files, problems, passed, failed: tests.length - passed, ok };
  if (output === 'human') print(humanSummary(result, paint));
  else print(output === 'json' ? jsonReport(result) : junitReport(result));
  return ok;
}

/** Warnings of a sync config that several files test are said once. */
function oncePerConfig(): (finding: Finding) => boolean {
  const said = new Set<string>();
  return ({ level, text }) => level === 'error' || (!said.has(text) && said.add(text).size > 0);
}

/** Paths in a test file start at its folder. */
function configReader(workingFolder: string, testFile: string) {
  return async (path: string): Promise<{ file: string; text: string }> => {
    const file = resolve(dirname(testFile), path) === path ? path : join(dirname(testFile), path);
    return { file, text: await readBounded(resolve(workingFolder, file)) };
  };
}

async function readBounded(path: string): Promise<string> {
  const { size } = await stat(path);
  if (size > MAX_BYTES) throw new Error(`The file is larger than ${MAX_BYTES / 1_000_000} MB.`);
  return readFile(path, 'utf8');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
