import { describe, expect, test } from 'vitest';
import { codesOf, compile, planOf } from '../testing/support.ts';

const HEAD = 'config: { edition: 3 }\n';
const STREAM = 'streams:\n  s:\n';

/** What is said, and the text that is marked. */
function found(text: string): [message: string, marked: string][] {
  const { diagnostics } = compile(text);
  return diagnostics.map(({ message, startOffset, endOffset }) => [message, text.slice(startOffset, endOffset)]);
}

describe('what is no YAML (S-654)', () => {
  test.each([
    ['a tab', `${STREAM}\t\tquery: SELECT 1\n`, 'Indent with spaces', '\t\t'],
    ['a list in other columns', 'a:\n  - b\n - c\n', 'All items of a list begin in the same column.', '-'],
    ['a colon', `${STREAM}    query: SELECT 'a: b' AS id FROM t\n`, 'A colon and a space begin a key', ':'],
    ['a colon in { }', 'streams: { s: { query: a b: c } }\n', 'A colon and a space begin a key', ':'],
    ['a deeper key', `${STREAM}    query: SELECT 1\n      priority: 1\n`, 'indented deeper', 'priority'],
    ['no comma in { }', 'streams: { s: { query: "a" priority: 1 } }\n', 'divided by commas', 'priority'],
    ['no colon', 'streams:\n  s\n    query: SELECT 1\n', 'A key stands on one line and ends with a colon.', 's'],
    [
      'a text that is not indented',
      `${STREAM}    query: >-\n    SELECT 1\n`,
      'indent it deeper than the key',
      'SELECT 1',
    ],
    ['a text on the line of |', `${STREAM}    query: | SELECT 1\n`, 'begins on the line below', 'SELECT 1'],
    ['a list on the line of its key', `${STREAM}    queries: - SELECT 1\n`, 'on the line below its key', '-'],
    ['an open [', `${STREAM}    queries: [SELECT 1\n`, 'The [ is not closed; close it with ].', '[SELECT 1'],
    [
      'an open {',
      'streams: { s: { query: [a] }\nwith: {}\n',
      'The { is not closed; close it with }.',
      '{ s: { query: [a] }',
    ],
    ['an open quote', `${STREAM}    query: 'SELECT 1\n`, "The quote is not closed; close it with '.", "'SELECT 1"],
    ['quotes in quotes', `${STREAM}    query: 'a = 'b' c'\n`, "The ' before this ends the value", "b' c'"],
    ['a quoted beginning', `${STREAM}    query: "a" = b\n`, 'The " before this ends the value', '= b'],
    ['the first character', `${STREAM}    query: @a\n`, 'A value cannot begin with @', '@'],
    ['a key twice', `${STREAM}    query: a\n    query: b\n`, 'The key "query" stands in this map twice', 'query'],
    ['a quoted key twice', `streams:\n  a: {}\n  "a": {}\n`, 'The key "a" stands in this map twice', '"a"'],
    ['an escape', `${STREAM}    query: "\\w"\n`, 'Invalid escape sequence \\w; in double quotes', '\\w'],
    ['a tag', 'streams: !env X\n', 'A sync config has no tags', '!env'],
    ['a second document', `streams: {}\n---\nstreams: {}\n`, 'one YAML document; remove this line', '---'],
    ['a second document without ---', `streams: {}\n...\nstreams: {}\n`, 'one YAML document', 'streams: {}'],
    ['a second document behind an empty one', `streams: {}\n---\n---\na: 1\n`, 'one YAML document', '---'],
  ])('%s', (_what, text, message, marked) => {
    expect(found(text)).toEqual([[expect.stringContaining(message), marked]]);
    expect(codesOf(text)).toEqual(['R1101']);
  });

  test('a document may begin and end with its signs', () => {
    const text = `${HEAD}streams: { s: { query: SELECT * FROM t } }\n`;
    for (const same of [`---\n${text}`, `# a comment\n---\n${text}`, `${text}...\n`, `${text}---\n`, `${text}---\n\n`])
      expect(planOf(same)).toEqual(planOf(text));
  });

  test('one finding per line', () => {
    expect(found(`${STREAM}    query: "a" * b\n  s: x\n`).map(([, marked]) => marked)).toEqual(['* b', 's']);
  });
});

describe('what YAML reads as something else (S-30)', () => {
  test.each([
    ['a list', 'queries: [SELECT id, a FROM t]', 'A list in [ ] ends an item at each comma', 'a FROM t'],
    ['numbers in a list', 'queries: [SELECT * FROM t WHERE a IN (1, 2, 3)]', 'A list in [ ] ends', '2'],
    ['a misspelt query in a list', 'queries: [SELECT * FROM t, SELEC * FROM u]', 'Found SELEC', 'SELEC'],
    ['an alias', 'query: *q', 'There is no anchor "q"; write &q', '*q'],
    ['an alias in a list', 'queries: [*q]', 'There is no anchor "q"; write &q', '*q'],
    ['a comment', "query: SELECT * FROM t WHERE a = 'b # c'", 'YAML reads # as a comment', '#'],
    ['a comment behind an operator', 'query: SELECT * FROM t WHERE a = # c', 'YAML reads # as a comment', '#'],
    ['nothing', 'query:', '"query" must be a SQL query as text.', 'query'],
    ['null', 'query: null', '"query" must be a SQL query as text.', 'null'],
  ])('%s', (_what, line, message, marked) => {
    const text = `${HEAD}${STREAM}    ${line}\n`;
    expect(found(text)).toEqual([[expect.stringContaining(message), marked]]);
  });

  test('commas in { }', () => {
    expect(found(`${HEAD}streams: { s: { query: SELECT id, a FROM t } }\n`)).toEqual([
      [expect.stringContaining('A map in { } ends a value at each comma'), 'a FROM t'],
    ]);
  });

  test('a comment behind a whole query is one, and a query in quotes may have commas and signs', () => {
    for (const line of [
      'query: SELECT * FROM t # all',
      `queries: ["SELECT id, a FROM t"] # both`,
      `query: 'SELECT * FROM "#"'`,
    ])
      expect(codesOf(`${HEAD}${STREAM}    ${line}\n`)).toEqual([]);
  });
});
