/** Results as people read them in a terminal. */
import type { FileResult, TestResult } from './contract.ts';
import { differenceLines, summary, type RunResult } from './report.ts';

type Colour = 'red' | 'green' | 'yellow' | 'dim';
const CODES: Readonly<Record<Colour, number>> = { red: 31, green: 32, yellow: 33, dim: 2 };
/** Puts a text in a colour, or leaves it. */
export type Paint = (colour: Colour, text: string) => string;

export const plain: Paint = (_colour, text) => text;
export const coloured: Paint = (colour, text) => `\u001B[${CODES[colour]}m${text}\u001B[0m`;

const MARKS: Readonly<Record<string, Colour>> = { '+': 'red', '-': 'red', '!': 'red', '~': 'yellow' };

/** One file: what was found, then a line per test, with its differences below when it failed. */
export function humanFile(result: FileResult, paint: Paint): string {
  const findings = result.findings.map(({ level, text }) =>
    paintFirstLine(text, level === 'error' ? 'red' : 'yellow', paint),
  );
  const tests = result.tests.flatMap((test) => testLines(test, paint));
  const errors = result.findings.some(({ level }) => level === 'error');
  const note = errors ? [`  ${paint('red', '✗')} no test was run`] : [];
  return [...findings, result.file, ...tests, ...note].join('\n');
}

function testLines({ name, line, passed, differences }: TestResult, paint: Paint): string[] {
  if (passed) return [`  ${paint('green', '✓')} ${name}`];
  const lines = differenceLines(differences).map((text) => {
    const [, indent = '', mark = '', rest = ''] = /^(\s*)([-+!~]?)(.*)$/s.exec(text) ?? [];
    const colour = MARKS[mark];
    return `      ${indent}${colour === undefined ? mark : paint(colour, mark)}${rest}`;
  });
  return [`  ${paint('red', '✗')} ${name} ${paint('dim', `(line ${line})`)}`, ...lines];
}

function paintFirstLine(text: string, colour: Colour, paint: Paint): string {
  const end = text.indexOf('\n');
  return end < 0 ? paint(colour, text) : paint(colour, text.slice(0, end)) + text.slice(end);
}

export function humanSummary(result: RunResult, paint: Paint): string {
  const problems = result.problems.map((problem) => paint('red', problem));
  return [...problems, paint(result.ok ? 'green' : 'red', summary(result))].join('\n');
}
