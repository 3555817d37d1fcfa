/** What the operator claims, each with the test that shows it: the tests are there, and hold what is quoted of them. */
import { readFileSync, statSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const PAGES = ['docs/operations/capability-levels.md', 'operator/sync-instance/SPEC.md'];
const LINK = /\[([^\]]+)\]\(([^)#]+)\)/g;

interface Claim {
  readonly row: string;
  readonly links: readonly string[];
  /** Words of the names of tests in the cell of links. */
  readonly quoted: readonly string[];
}

/** Rows of tables whose last column is `test`. */
function claimsOf(page: string): Claim[] {
  const lines = readFileSync(new URL(`../${page}`, import.meta.url), 'utf8').split('\n');
  const head = lines.findIndex((line) => line.endsWith('| test |'));
  const rows = lines.slice(
    head + 2,
    lines.findIndex((line, at) => at > head && !line.startsWith('|')),
  );
  return rows.map((row) => {
    const cell = row.split(' | ').at(-1)!;
    const links = [...cell.matchAll(LINK)].map(([, , path]) => path!);
    return { row, links, quoted: [...cell.matchAll(/"([^"]+)"/g)].map(([, words]) => words!) };
  });
}

describe.each(PAGES)('%s', (page) => {
  const base = new URL(`../${page}`, import.meta.url);
  const claims = claimsOf(page);

  test('has claims', () => {
    expect(claims.length).toBeGreaterThan(5);
  });

  test.each(claims)('$row', ({ row, links, quoted }) => {
    expect(links, `a test for: ${row}`).not.toEqual([]);
    const files = links.map((link) => new URL(link, base));
    for (const file of files) expect(statSync(file, { throwIfNoEntry: false }), file.pathname).toBeDefined();
    const texts = files.filter((file) => statSync(file).isFile()).map((file) => readFileSync(file, 'utf8'));
    for (const words of quoted)
      expect(
        texts.some((text) => text.includes(`'${words}`)),
        words,
      ).toBe(true);
  });
});
