/**
 * The corpus of wrong configs, which users read as documentation: each is compiled, and must give what stands below it.
 *
 * After messages or marks were changed on purpose,
 * `UPDATE=1 vitest run --project unit core/sync-config/mistakes.test.ts` writes the text blocks anew (and adds missing
 * ones). Read the difference like any other change: it is what users will see.
 */
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ERROR_REGISTRY } from '#core/platform/errors/registry.ts';
import { compileMistake, printFindings, readMistakes, renderMistakes } from './testing/mistakes.ts';

const files = readMistakes();
if (process.env['UPDATE'] === '1') {
  for (const file of files) {
    const printed = file.mistakes.map(({ config, schema }) => printFindings(config, compileMistake(config, schema)));
    writeFileSync(file.path, renderMistakes(file, printed));
  }
  files.splice(0, files.length, ...readMistakes());
}
const mistakes = files.flatMap((file) => file.mistakes.map((mistake) => ({ ...mistake, file: basename(file.path) })));
const SEVERAL = 'several-at-once.md';
/** A file of 1 MB, and 2,000 columns: see diagnostics.test.ts. R2299 is a bug of the compiler by definition. */
const TOO_LARGE = ['PSYNC_R1102', 'PSYNC_R2299', 'PSYNC_R2306'];

describe.each(files.map((file) => ({ file, name: basename(file.path) })))('$name', ({ file, name }) => {
  test.each(file.mistakes.map((mistake) => ({ mistake, heading: mistake.heading })))('$heading', ({ mistake }) => {
    const { config, schema, printed, instead, why } = mistake;
    const result = compileMistake(config, schema);
    expect(printFindings(config, result)).toBe(printed);
    // a mistake is one finding, without others that only follow from it
    expect(result.diagnostics.length > 1).toBe(name === SEVERAL);
    expect(result.diagnostics).not.toEqual([]);
    expect(result.plan === null).toBe(result.diagnostics.some(({ level }) => level === 'error'));
    if (instead !== null) expect(printFindings(instead, compileMistake(instead, schema))).toBe('');
    expect(why).toMatch(/[SO]-\d+/);
    for (const { message } of result.diagnostics) {
      expect(message).toMatch(/^\S.*\.$/);
      expect(message).not.toMatch(/PSYNC|undefined|\[object| {2}/);
    }
  });

  test('is written as it would be rendered', () => {
    expect(
      renderMistakes(
        file,
        file.mistakes.map(({ printed }) => printed),
      ),
    ).toBe(file.text);
  });
});

test('every code that a sync config can raise has an entry (S-653…S-659)', () => {
  // R13 is about tests of a sync config
  const registered = Object.keys(ERROR_REGISTRY).filter((code) => /^PSYNC_R(?!0001|13)/.test(code));
  const missing = registered.filter((code) => !mistakes.some(({ printed }) => printed.includes(`[${code}]`)));
  expect(missing).toEqual(TOO_LARGE);
});

test('no mistake stands there twice', () => {
  const twice = (items: readonly string[]): string[] => items.filter((item, at) => items.indexOf(item) !== at);
  expect(twice(mistakes.map(({ heading }) => heading))).toEqual([]);
  expect(twice(mistakes.map(({ config }) => config))).toEqual([]);
});

/** Below S-678 in sync.md: what must be an error, and the entries that show it (S-679). */
const ERRORS: Readonly<Record<string, readonly string[]>> = {
  'query and queries together': ['Both `query` and `queries`'],
  'unknown function': ['A function that does not exist', 'A function of another service on `auth`'],
  'unknown operator': ['An operator that does not exist', 'Two equals signs', 'EXISTS'],
  'unknown clause': ['GROUP BY', 'ORDER BY', 'LIMIT', 'UNION', 'DISTINCT', 'WITH inside of a query'],
  'outer join': ['LEFT JOIN'],
  'columns of several tables': ['Columns of two tables', 'A column made of two tables', 'A star in a join'],
  'non-equality join': ['Tables compared by something other than =', 'Tables compared by !='],
  'CTE referring to a CTE': ['A CTE that reads another one', 'A CTE that reads another one in FROM'],
  'IN cte with several columns': ['IN with a CTE of two columns'],
  'NOT IN over a subquery': ['NOT IN with a subquery', 'NOT before IN with a subquery'],
  'NOT IN over a parameter array': ['NOT IN with a parameter'],
  'range comparison with a parameter': ['A range of a parameter', 'BETWEEN with a parameter'],
  'OR branch that is no filter of its own': ['An OR branch that is no filter of its own'],
  'data query not using all bucket parameters': ['A data query that leaves out a bucket parameter'],
  'parameter queries with different output columns': ['Parameter queries with different columns'],
  'OR over different parameter sets in Sync Rules': ['OR over different parameters'],
  'two parameter INs in one AND in Sync Rules': ['Two IN on parameters'],
  'non-constant _priority': ['A priority that depends on the row'],
  '% not at the end of a table name': ['% inside of a table name'],
  'priority outside 0–3': ['A priority outside of 0 to 3'],
  'bad timestamp_max_precision': ['A precision that does not exist'],
};
/** What gives a warning only. Problems of the publication and of RLS: replicator/sources/postgres/check.integration.test.ts. */
const WARNINGS: Readonly<Record<string, readonly string[]>> = {
  'table not found': ['A table that is not there', 'A table of another schema'],
  'column not found': ['A column that is not there'],
  'dangerous query': ['Rows chosen by a subscription parameter alone', 'A bucket parameter from the client'],
  'mixed-case identifier without quotes': [
    'A column with capitals, without quotes',
    'A table with capitals, without quotes',
    'An alias with capitals, without quotes',
  ],
  'query without id': ['Columns without id', 'A table without id'],
};

describe('situations of sync.md chapter 19 (S-679)', () => {
  const printed = (heading: string): string =>
    mistakes.find((mistake) => mistake.heading === heading)?.printed ?? `no entry ${heading}`;

  test.each(Object.entries(ERRORS))('error: %s', (_situation, headings) => {
    for (const heading of headings) expect(printed(heading)).toMatch(/: error \[PSYNC_R[12]/);
  });

  test.each(Object.entries(WARNINGS))('warning: %s', (_situation, headings) => {
    for (const heading of headings) {
      expect(printed(heading)).toMatch(/: warning \[PSYNC_R/);
      expect(printed(heading)).not.toMatch(/: error /);
    }
  });
});
