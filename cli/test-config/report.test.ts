import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Difference, FileResult } from './contract.ts';
import { coloured, humanFile, humanSummary, plain } from './human-report.ts';
import { junitReport } from './junit-report.ts';
import { jsonReport, type RunResult } from './report.ts';

const missing = (id: string): Difference => ({ kind: 'missing', stream: 's', table: 't', id, reason: 'gone' });
const FILE: FileResult = {
  file: 'a.sync-test.yaml',
  passed: false,
  findings: [
    {
      level: 'warning',
      code: 'PSYNC_R1301',
      message: 'No query reads "x".',
      file: 'a.sync-test.yaml',
      line: 3,
      column: 1,
      text: 'a.sync-test.yaml:3:1: warning [PSYNC_R1301] No query reads "x".\n    3 | x: []\n      | ^',
    },
  ],
  tests: [
    { name: 'good', line: 5, passed: true, differences: [], durationMs: 1.5 },
    {
      name: 'bad',
      line: 9,
      passed: false,
      differences: [
        { kind: 'unexpected', stream: 's', table: 't', id: 'a', buckets: ['s|0[1]', 's|0[2]', 's|0[3]', 's|0[4]'] },
        {
          kind: 'changed',
          stream: 's',
          table: 't',
          id: 'b',
          column: 'c',
          expected: '1',
          actual: `"${'x'.repeat(300)}"`,
        },
        missing('c'),
        { kind: 'forbidden', stream: 'r', table: 't', id: 'd', buckets: ['r|0[]'] },
        { kind: 'buckets', expected: 1, actual: 0, buckets: [] },
      ],
      durationMs: 2.25,
    },
  ],
};
const BROKEN: FileResult = {
  file: 'b.sync-test.yaml',
  passed: false,
  findings: [{ ...FILE.findings[0]!, level: 'error', text: 'b.sync-test.yaml:1:1: error [PSYNC_R1101] No.' }],
  tests: [],
};
const RESULT: RunResult = { files: [FILE, BROKEN], problems: ['c: gone'], passed: 1, failed: 1, ok: false };

describe('for people', () => {
  test('a line per test, differences below their streams', () => {
    expect(humanFile(FILE, plain)).toBe(`a.sync-test.yaml:3:1: warning [PSYNC_R1301] No query reads "x".
    3 | x: []
      | ^
a.sync-test.yaml
  ✓ good
  ✗ bad (line 9)
      s:
        + t/a (not expected: from s|0[1], s|0[2], s|0[3] and 1 more)
        ~ t/b c: expected 1, got "${'x'.repeat(199)}…
        - t/c (missing: gone)
      r:
        ! t/d (under "never": from r|0[])
      buckets: expected 1, got 0`);
    expect(humanFile(BROKEN, plain)).toBe(
      'b.sync-test.yaml:1:1: error [PSYNC_R1101] No.\nb.sync-test.yaml\n  ✗ no test was run',
    );
  });

  test('how it ended', () => {
    expect(humanSummary(RESULT, plain)).toBe('c: gone\n2 tests in 2 files: 1 passed, 1 failed; 1 file with errors');
    const good: RunResult = { files: [{ ...FILE, passed: true }], problems: [], passed: 1, failed: 0, ok: true };
    expect(humanSummary(good, plain)).toBe('1 test in 1 file: 1 passed');
  });

  test('colours change nothing but the colour', () => {
    // oxlint-disable-next-line no-control-regex
    const stripped = humanFile(FILE, coloured).replaceAll(/\u001B\[\d+m/g, '');
    expect(stripped).toBe(humanFile(FILE, plain));
    expect(humanFile(FILE, coloured)).toContain('\u001B[32m✓\u001B[0m good');
    expect(humanSummary(RESULT, coloured)).toContain('\u001B[31m');
  });

  test('of very many differences the first ones', () => {
    const differences = Array.from({ length: 60 }, (_, at) => missing(`r${at}`));
    const lines = humanFile({ ...FILE, tests: [{ ...FILE.tests[1]!, differences }] }, plain).split('\n');
    expect(lines.at(-1)).toBe('      … and 10 more differences');
    expect(lines.filter((line) => line.includes('- t/r'))).toHaveLength(50);
  });
});

test('for programs: everything, each difference in words too', () => {
  const report = JSON.parse(jsonReport(RESULT)) as { files: { tests: { differences: unknown[] }[] }[] };
  expect(report).toMatchObject({ ok: false, passed: 1, failed: 1, problems: ['c: gone'] });
  expect(report.files[0]).toMatchObject({
    file: 'a.sync-test.yaml',
    passed: false,
    findings: [{ level: 'warning', code: 'PSYNC_R1301', line: 3, column: 1 }],
  });
  expect(report.files[0]?.tests[1]?.differences[2]).toEqual({
    kind: 'missing',
    stream: 's',
    table: 't',
    id: 'c',
    reason: 'gone',
    text: '- t/c (missing: gone)',
  });
});

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Element[];
  text: string;
}

/** Reads XML 1.0 without anything that JUnit files do not have; throws where it is not well formed. */
function parseXml(xml: string): Element {
  const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n';
  if (!xml.startsWith(declaration)) throw new Error('no declaration');
  if (/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u.test(xml)) throw new Error('no XML character');
  const root: Element = { name: '', attributes: {}, children: [], text: '' };
  const open = [root];
  const token = /<(\/?)([a-z-]+)((?: [a-z]+="[^"<]*")*)(\/?)>|[^<]+/y;
  token.lastIndex = declaration.length;
  while (token.lastIndex < xml.length) {
    const at = token.lastIndex;
    const found = token.exec(xml);
    const parent = open.at(-1);
    if (found === null || parent === undefined) throw new Error(`not well formed at ${xml.slice(at, at + 40)}`);
    const [whole, end, name = '', attributes = '', empty] = found;
    if (!whole.startsWith('<')) {
      if (whole.includes(']]>')) throw new Error(']]> in text');
      parent.text += unescape(whole);
    } else if (end === '/') {
      if (open.pop()?.name !== name) throw new Error(`${name} ends where it is not open`);
    } else {
      const pairs = [...attributes.matchAll(/ ([a-z]+)="([^"]*)"/g)].map(([, key = '', value = '']) => [
        key,
        // literal line breaks and tabs in attributes become spaces
        unescape(value.replaceAll(/[\t\n\r]/g, ' ')),
      ]);
      const element = { name, attributes: Object.fromEntries(pairs) as Record<string, string>, children: [], text: '' };
      parent.children.push(element);
      if (empty !== '/') open.push(element);
    }
  }
  const [only, ...others] = root.children;
  if (open.length !== 1 || only === undefined || others.length > 0) throw new Error('not one whole element');
  return only;
}
function unescape(text: string): string {
  return text.replaceAll(/&([^;]*;?)/g, (_whole, entity: string) => {
    const known: Readonly<Record<string, string>> = { 'amp;': '&', 'lt;': '<', 'gt;': '>', 'quot;': '"' };
    const code = /^#(\d+);$/.exec(entity)?.[1];
    const value = code === undefined ? known[entity] : String.fromCodePoint(Number(code));
    if (value === undefined) throw new Error(`no entity: &${entity}`);
    return value;
  });
}

describe('for CI systems', () => {
  test('a suite per file, with failures and errors', () => {
    const root = parseXml(junitReport(RESULT));
    expect(root).toMatchObject({ name: 'testsuites', attributes: { tests: '4', failures: '1', errors: '2' } });
    const [first, second, third] = root.children;
    expect(first?.attributes).toEqual({
      name: 'a.sync-test.yaml',
      tests: '2',
      failures: '1',
      errors: '0',
      time: '0.004',
    });
    expect(first?.children.map(({ name }) => name)).toEqual(['testcase', 'testcase', 'system-out']);
    expect(first?.children[1]?.attributes).toMatchObject({ name: 'bad', classname: 'a.sync-test.yaml', line: '9' });
    expect(first?.children[1]?.children[0]).toMatchObject({
      name: 'failure',
      attributes: { message: '5 differences' },
    });
    expect(first?.children[1]?.children[0]?.text).toContain('s:\n  + t/a (not expected');
    expect(second?.children[0]?.children[0]).toMatchObject({ name: 'error', attributes: { type: 'PSYNC_R1301' } });
    expect(third?.children[0]?.children[0]).toMatchObject({ name: 'error', attributes: { message: 'c: gone' } });
  });

  test('is XML whatever names and rows hold', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .array(fc.constantFrom('<', '&', '"', ']]>', '\n', '\t', '\r', '\u0000', '\uD800', '\uFFFF', '😀', 'x'))
        .map((all) => all.join('')),
    );
    const allowed = (value: string): string =>
      value.replaceAll(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '\uFFFD');
    fc.assert(
      fc.property(text, text, text, (name, id, problem) => {
        const bad = { ...FILE.tests[1]!, name, differences: [missing(id)] };
        const files = [{ ...FILE, file: id, tests: [bad] }];
        const root = parseXml(junitReport({ ...RESULT, files, problems: [problem] }));
        const [suite, problems] = root.children;
        expect(suite?.attributes['name']).toBe(allowed(id));
        expect(suite?.children[0]?.attributes['name']).toBe(allowed(name));
        expect(suite?.children[0]?.children[0]?.text).toBe(`s:\n  - t/${allowed(id)} (missing: gone)`);
        expect(problems?.children[0]?.children[0]?.attributes['message']).toBe(allowed(problem));
      }),
    );
  });
});
