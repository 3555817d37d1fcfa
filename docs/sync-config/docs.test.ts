/**
 * The documentation of the sync config: everything that it claims is run.
 *
 * - ```yaml is a sync config without findings; `warns R2401` and `refused R2211` behind it say which it has. A ```text block below
 *   is what `millrace validate` prints: `UPDATE=1 vitest run --project unit docs/sync-config` writes these anew.
 * - ```yaml test holds tests (`millrace test`) of the config above it, on the rows of README.md where it has none.
 * - ```sql holds queries of streams, one per paragraph; ```sql source is for the source database; ```yaml service is a part of the
 *   service's configuration.
 * - Tables: "Ben gets" (and "Buckets") is what Ben of README.md gets of a query, or of a condition on trips; "Code" is how one is refused;
 *   "Result" is what an expression gives; "Table in the app" and "Columns" are what becomes of names.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ERROR_REGISTRY } from '#core/platform/errors/registry.ts';
import { FUNCTION_NAMES } from '#core/sync-config/evaluate/functions.ts';
import { valueTypeOf } from '#core/sync-config/source-types/value-type-of.ts';
import { readMistakes } from '#core/sync-config/testing/mistakes.ts';
import { blockClaims, tableClaims } from './claims.fixture.ts';
import { readClub, readPages, updateFindings, type Page } from './pages.fixture.ts';

/** They are about files of their own kind, and have tests of their own. */
const OTHERS = ['testing.md', 'client-schemas.md'];
if (process.env['UPDATE'] === '1')
  for (const page of readPages()) if (!OTHERS.includes(page.name)) updateFindings(page);
const all = readPages();
const pages = all.filter(({ name }) => !OTHERS.includes(name));
const readme = all.find(({ name }) => name === 'README.md') as Page;
const club = readClub(readme);

describe.each(pages.map((page) => ({ page, name: page.name })))('$name', ({ page }) => {
  test.each([...blockClaims(page, club), ...tableClaims(page, club)])('$name', async ({ expected, actual }) => {
    expect(await actual()).toEqual(expected);
  });

  test('is not too long, and its links lead somewhere', () => {
    expect(page.text.split('\n').length).toBeLessThanOrEqual(205);
    expect(deadLinks(page.text, 'docs/sync-config')).toEqual([]);
  });
});

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Relative links in this text, which stands in `folder`, whose file or heading does not exist. */
function deadLinks(text: string, folder: string): string[] {
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
  return links.filter((link) => {
    if (/^https?:/.test(link)) return false;
    const [path = '', anchor] = link.split('#');
    const file = path === '' ? null : join(root, folder, path);
    if (file !== null && !existsSync(file)) return true;
    if (anchor === undefined) return false;
    const target = file === null ? text : readFileSync(file, 'utf8');
    return ![...target.matchAll(/^#+ (.*)$/gm)].some(([, heading = '']) => anchorOf(heading) === anchor);
  });
}

/** As GitHub makes them. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');
}

describe('nothing is forgotten', () => {
  const pageOf = (name: string): Page => pages.find((page) => page.name === name) as Page;

  test('README.md leads to every page', () => {
    for (const { name } of all.filter((page) => page !== readme)) expect(readme.text).toContain(`](${name})`);
  });

  test('links of the corpus', () => {
    for (const { path, text } of readMistakes()) expect(deadLinks(text, dirname(path).slice(root.length))).toEqual([]);
  });

  test('every function has a row with an example in expressions.md', () => {
    const rows = pageOf('expressions.md').tables.flatMap(({ columns, rows: of }) =>
      columns.includes('Result') ? of.map((cells) => cells[columns.indexOf('Example')] ?? '') : [],
    );
    const missing = FUNCTION_NAMES.filter((name) => !rows.some((row) => row.toLowerCase().includes(`${name}(`)));
    expect(missing).toEqual([]);
  });

  test('errors.md has every code of a sync config with what the registry says of it', () => {
    const listed = pageOf('errors.md').tables.flatMap(({ columns, rows }) => (columns[0] === 'Code' ? rows : []));
    const registered = Object.entries(ERROR_REGISTRY)
      .filter(([code]) => /^PSYNC_R(?!13)/.test(code))
      .map(([code, { summary, remedy }]) => [code.slice('PSYNC_'.length), summary, remedy]);
    expect(listed.map((cells) => cells.slice(0, 3))).toEqual(registered);
  });

  test('types.md says what valueTypeOf says', () => {
    const kinds = {
      Postgres: 'postgresql',
      MongoDB: 'mongodb',
      MySQL: 'mysql',
      'SQL Server': 'mssql',
      Convex: 'convex',
    };
    const rows = pageOf('types.md').tables.flatMap(({ heading, columns, rows: of }) => {
      const kind = kinds[heading as keyof typeof kinds];
      return kind === undefined || columns[1] !== 'Becomes' ? [] : of.map((cells) => ({ kind, cells }));
    });
    expect(rows.length).toBeGreaterThan(50);
    for (const { kind, cells } of rows) {
      for (const type of (cells[0] ?? '').split(/`?, `?/)) {
        const becomes = valueTypeOf(kind as 'postgresql', type) ?? 'null';
        expect([kind, type, becomes]).toEqual([kind, type, cells[1]]);
      }
    }
  });
});
