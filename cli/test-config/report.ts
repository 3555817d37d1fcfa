/** What came of all files, and how it is printed. */
import { describeDifference } from './describe.ts';
import type { FileResult } from './contract.ts';
import type { Difference, Finding } from './contract.ts';

export interface RunResult {
  readonly files: readonly FileResult[];
  /** What is no matter of one file: files that are not there, no test at all. */
  readonly problems: readonly string[];
  readonly passed: number;
  readonly failed: number;
  /** At least one test ran, all passed, and nothing was wrong with the files (warnings aside). */
  readonly ok: boolean;
}

/** Lines of one test; the rest is counted. */
const MOST_LINES = 50;

/** The differences of one test below the names of their streams, then those of the whole session. */
export function differenceLines(differences: readonly Difference[]): string[] {
  const lines: string[] = [];
  let stream: string | null = null;
  for (const difference of differences.slice(0, MOST_LINES)) {
    const of = 'stream' in difference ? difference.stream : null;
    if (of !== null && of !== stream) lines.push(`${of}:`);
    stream = of;
    lines.push(`${of === null ? '' : '  '}${describeDifference(difference)}`);
  }
  if (differences.length > MOST_LINES) lines.push(`… and ${differences.length - MOST_LINES} more differences`);
  return lines;
}

export function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

/** `2 tests: 1 passed, 1 failed`, and what else was wrong. */
export function summary({ files, passed, failed }: RunResult): string {
  const unread = files.filter(({ findings }) => findings.some(({ level }) => level === 'error')).length;
  const parts = [`${passed} passed`, ...(failed === 0 ? [] : [`${failed} failed`])];
  const errors = unread === 0 ? '' : `; ${count(unread, 'file')} with errors`;
  return `${count(passed + failed, 'test')} in ${count(files.length, 'file')}: ${parts.join(', ')}${errors}`;
}

/** For programs. */
export function jsonReport({ files, problems, passed, failed, ok }: RunResult): string {
  const shown = files.map(({ file, passed: all, findings, tests }) => ({
    file,
    passed: all,
    findings: findings.map(withoutText),
    tests: tests.map((test) => ({
      ...test,
      differences: test.differences.map((item) => ({ ...item, text: describeDifference(item) })),
    })),
  }));
  return JSON.stringify({ ok, passed, failed, problems, files: shown }, null, 2);
}

function withoutText({ level, code, message, file, line, column }: Finding): Omit<Finding, 'text'> {
  return { level, code, message, file, line, column };
}
