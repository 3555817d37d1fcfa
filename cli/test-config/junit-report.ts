/** Results as XML that CI systems read: one suite per file. */
import type { FileResult, Finding, TestResult } from './contract.ts';
import { differenceLines, type RunResult } from './report.ts';

export function junitReport({ files, problems }: RunResult): string {
  const suites = [...files.map(suiteOf), ...(problems.length === 0 ? [] : [problemsSuite(problems)])];
  const total = (of: (suite: Suite) => number): number => suites.reduce((sum, suite) => sum + of(suite), 0);
  const counts = `tests="${total(({ tests }) => tests)}" failures="${total(({ failures }) => failures)}" errors="${total(({ errors }) => errors)}"`;
  const body = suites.map(({ xml }) => xml).join('\n');
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="millrace test" ${counts}>\n${body}\n</testsuites>`;
}

interface Suite {
  readonly tests: number;
  readonly failures: number;
  readonly errors: number;
  readonly xml: string;
}

function suiteOf({ file, findings, tests }: FileResult): Suite {
  const errors = findings.filter(({ level }) => level === 'error');
  const warnings = findings.filter(({ level }) => level === 'warning');
  const cases = [...errors.map((finding) => errorCase(file, finding)), ...tests.map((test) => testCase(file, test))];
  if (warnings.length > 0)
    cases.push(`    <system-out>${text(warnings.map((item) => item.text).join('\n'))}</system-out>`);
  const failures = tests.filter(({ passed }) => !passed).length;
  const seconds = tests.reduce((sum, { durationMs }) => sum + durationMs, 0) / 1000;
  return suite(file, { tests: tests.length + errors.length, failures, errors: errors.length }, seconds, cases);
}

function problemsSuite(problems: readonly string[]): Suite {
  const cases = problems.map(
    (problem) =>
      `    <testcase name="files" classname="millrace test"><error message="${attribute(problem)}"/></testcase>`,
  );
  return suite('millrace test', { tests: problems.length, failures: 0, errors: problems.length }, 0, cases);
}

function suite(name: string, counts: Omit<Suite, 'xml'>, seconds: number, cases: readonly string[]): Suite {
  const { tests, failures, errors } = counts;
  const head = `name="${attribute(name)}" tests="${tests}" failures="${failures}" errors="${errors}" time="${seconds.toFixed(3)}"`;
  return { ...counts, xml: `  <testsuite ${head}>\n${cases.join('\n')}\n  </testsuite>` };
}

function errorCase(file: string, { code, message, line, text: whole }: Finding): string {
  const error = `<error type="${attribute(code)}" message="${attribute(message)}">${text(whole)}</error>`;
  return `    <testcase name="${attribute(`line ${line}`)}" classname="${attribute(file)}">${error}</testcase>`;
}

function testCase(file: string, { name, passed, line, durationMs, differences }: TestResult): string {
  const head = `<testcase name="${attribute(name)}" classname="${attribute(file)}" file="${attribute(file)}" line="${line}" time="${(durationMs / 1000).toFixed(3)}"`;
  if (passed) return `    ${head}/>`;
  const lines = differenceLines(differences).join('\n');
  const message = `${differences.length} difference${differences.length === 1 ? '' : 's'}`;
  return `    ${head}><failure message="${message}">${text(lines)}</failure></testcase>`;
}

/** What XML 1.0 has no place for; with `u`, lone surrogates too. */
const FORBIDDEN = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu;
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\r': '&#13;',
};

function text(value: string): string {
  return value.replaceAll(FORBIDDEN, '\uFFFD').replaceAll(/[&<>"\r]/g, (found) => ENTITIES[found] ?? found);
}

/** Line breaks and tabs would be read as spaces. */
function attribute(value: string): string {
  return text(value).replaceAll('\n', '&#10;').replaceAll('\t', '&#9;');
}
