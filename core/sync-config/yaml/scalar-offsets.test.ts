import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compile } from '../testing/support.ts';

/** Words of a query, separated by what each YAML style may put between them; `BAD` is a mistake of its own each. */
const word = fc.constantFrom('id', 'name', "'it''s'", "'é😀'", '"Ö"', '"a\\b"', 'BAD()', '1', "'x: y # z'");

/** A config with the query `SELECT w, w, … FROM t` in one of the ways to write a scalar. */
function write(
  words: readonly string[],
  style: string,
  indent: number,
  breaks: readonly boolean[],
  newline: string,
): string {
  const pad = ' '.repeat(indent);
  const tokens = [
    'SELECT',
    ...words.map((item, at) => `${item} AS c${at}${at < words.length - 1 ? ',' : ''}`),
    'FROM t',
  ];
  const joined = (escape: (token: string) => string, extra: (at: number) => string): string =>
    tokens
      .map((token, at) => (at === 0 ? '' : breaks[at] === true ? `${newline}${pad}${extra(at)}` : ' ') + escape(token))
      .join('');
  const same = (token: string): string => token;
  const body = ((): string => {
    switch (style) {
      case 'plain':
        // : and # would end a plain scalar
        return joined(
          (token) => token.replaceAll(': ', ':').replaceAll(' #', '#'),
          () => '',
        );
      case 'single':
        return `'${joined(
          (token) => token.replaceAll("'", "''"),
          () => '',
        )}'`;
      case 'double':
        return `"${joined(
          (token) => token.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('é', '\\u00e9'),
          () => '',
        )}"`;
      case 'double joined':
        return `"${tokens.map((token) => token.replaceAll('\\', '\\\\').replaceAll('"', '\\x22')).join(` \\${newline}${pad}`)}"`;
      default:
        return `${style}${newline}${pad}${joined(same, (at) => (style.startsWith('|') ? '  '.repeat(at % 3) : ''))}`;
    }
  })();
  return `config: { edition: 3 }${newline}streams:${newline}  s:${newline}    query: ${body}${newline}`;
}

describe('places of findings in the YAML text (S-30, S-32)', () => {
  test('every mistake is marked where it stands, however the query is written', () => {
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 1, maxLength: 6 }),
        fc.constantFrom('plain', 'single', 'double', 'double joined', '|', '|-', '>', '>-'),
        fc.integer({ min: 6, max: 9 }),
        fc.array(fc.boolean(), { minLength: 9, maxLength: 9 }),
        fc.constantFrom('\n', '\r\n'),
        (words, style, indent, breaks, newline) => {
          const text = write(words, style, indent, breaks, newline);
          const { diagnostics } = compile(text);
          const found = diagnostics.filter(({ code }) => code === 'PSYNC_R2203');
          const expected = [...text.matchAll(/BAD/g)].map(({ index }) => index);
          expect({ text, at: found.map(({ startOffset }) => startOffset) }).toEqual({ text, at: expected });
          for (const { startOffset, endOffset } of found) expect(text.slice(startOffset, endOffset)).toBe('BAD');
          // nothing but these: every style gives the same query
          expect(diagnostics.filter(({ level }) => level === 'error')).toEqual(found);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('queries behind anchors and aliases are marked at the anchor', () => {
    const text =
      "config: { edition: 3 }\nstreams:\n  a: { query: &q 'SELECT BAD() AS id FROM t' }\n  b: { query: *q }\n";
    const { diagnostics } = compile(text);
    expect(diagnostics.map(({ startOffset, endOffset }) => text.slice(startOffset, endOffset))).toEqual(['BAD']);
  });
});
