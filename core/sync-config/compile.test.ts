import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compile, streamOf, table } from './testing/support.ts';

const SEEDS = [
  "SELECT * FROM t WHERE a = auth.user_id() AND (b IN (SELECT c FROM u WHERE d = subscription.parameter('x')) OR NOT e)",
  "SELECT t.id, t.a ->> '$.b' AS c FROM t JOIN u AS v ON t.a = v.b AND v.c = auth.parameter('x') WHERE t.d BETWEEN 1 AND 2",
  'SELECT id, CASE WHEN a IS NULL THEN 1.5 ELSE upper(b) END AS x FROM "log_%" AS l WHERE l.tags && (SELECT id FROM u)',
  "SELECT * FROM t, json_each(t.tags) AS e WHERE e.value IN connection.parameter('ids') OR t.b IN ARRAY['x', 2]",
  'SELECT d.* FROM (SELECT * FROM t WHERE a = my) AS d WHERE d.b IN my AND d.c = my',
  'SELECT my.v AS id FROM my INNER JOIN t ON my.v = t.id',
  'SELECT id AS a, 2 AS _priority FROM m WHERE u = request.user_id() OR request.user_id() IN tags',
  "SELECT value AS a FROM json_each(request.jwt() -> 'ids') WHERE value != bucket.a",
  'SELECT *, _table_suffix AS s FROM "t_%" x WHERE x.a = bucket.a AND (b OR bucket.a = c) AND token_parameters.a IS NOT NULL',
  'SELECT owner AS user_id, device AS client_id, seq::integer AS checkpoint FROM w WHERE a NOT IN (1, 2)',
];
const tokensOf = (text: string): string[] => text.match(/'[^']*'|"[^"]*"|\w+|->>|->|&&|::|!=|[^\s\w]/g) ?? [];
const VOCABULARY = [...new Set(SEEDS.flatMap(tokensOf))];

/** A query with some tokens replaced, left out, doubled, or parts of another query put in. */
const query = fc
  .tuple(
    fc.constantFrom(...SEEDS),
    fc.array(
      fc.tuple(
        fc.nat(200),
        fc.constantFrom('replace', 'remove', 'insert', 'splice'),
        fc.constantFrom(...VOCABULARY),
        fc.constantFrom(...SEEDS),
        fc.nat(200),
        fc.nat(12),
      ),
      { maxLength: 4 },
    ),
  )
  .map(([seed, changes]) => {
    const tokens = tokensOf(seed);
    for (const [place, how, token, other, from, length] of changes) {
      const at = place % Math.max(1, tokens.length);
      const donor = tokensOf(other);
      const start = from % donor.length;
      if (how === 'replace') tokens[at] = token;
      else if (how === 'remove') tokens.splice(at, 1);
      else if (how === 'insert') tokens.splice(at, 0, token);
      else tokens.splice(at, length, ...donor.slice(start, start + length));
    }
    return tokens.join(' ');
  });

/** Every kind of query in every place. */
const config = fc
  .tuple(fc.array(query, { minLength: 1, maxLength: 3 }), query, fc.array(query, { maxLength: 2 }), query, query)
  .map(([queries, cte, parameters, data, payload]) => {
    const list = (items: readonly string[]): string => JSON.stringify(items);
    return `config: { edition: 3 }
streams:
  s:
    with: { my: ${JSON.stringify(cte)} }
    queries: ${list(queries)}
bucket_definitions:
  b: { parameters: ${list(parameters)}, data: ${list([data])} }
event_definitions:
  write_checkpoints: { payloads: ${list([payload])} }
`;
  });

describe('any text gives a plan or the reasons why not (G4)', () => {
  const check = (text: string): boolean => {
    const { plan, diagnostics } = compile(text);
    expect(plan === null).toBe(diagnostics.some(({ level }) => level === 'error'));
    for (const { code, line, column, startOffset, endOffset } of diagnostics) {
      // R2299 is a bug of the compiler
      expect([text, code]).not.toEqual([text, 'PSYNC_R2299']);
      expect(startOffset <= endOffset && endOffset <= text.length).toBe(true);
      const before = text.slice(0, startOffset).split('\n');
      expect([line, column]).toEqual([before.length, (before.at(-1)?.length ?? 0) + 1]);
    }
    expect(compile(text)).toEqual({ plan, diagnostics });
    return plan !== null;
  };

  test('one query of a stream', () => {
    let plans = 0;
    fc.assert(
      fc.property(query, (text) => {
        if (check(streamOf(text))) plans++;
      }),
      { numRuns: Number(process.env['RUNS'] ?? 1000) },
    );
    expect(plans).toBeGreaterThan(0);
  });

  test('a known schema never changes what a query means', () => {
    const columns = fc.subarray(['id', 'a', 'b', 'c', 'd', 'tags']);
    const schema = fc
      .tuple(columns, columns, columns)
      .map((of) => ['t', 'u', 'm'].map((name, at) => table(name, of[at] ?? [])));
    fc.assert(
      fc.property(query, schema, (text, known) => {
        const without = compile(streamOf(text)).plan;
        if (without !== null) expect(compile(streamOf(text), { schema: known }).plan).toEqual(without);
      }),
      { numRuns: Number(process.env['RUNS'] ?? 500) },
    );
  });

  test('whole configs', () => {
    fc.assert(
      fc.property(config, (text) => void check(text)),
      { numRuns: Number(process.env['RUNS'] ?? 300) },
    );
  });

  test('texts that are no configs', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void check(text)));
    const yaml = fc.constantFrom(
      'streams:',
      ' ',
      '\n',
      '- ',
      '{',
      '}',
      '[',
      ']',
      'query: ',
      'config: ',
      '&a ',
      '*a',
      '<<: ',
      '|\n',
      '"',
      "'",
      '# ',
      'SELECT',
      '!!map ',
      '? ',
      'null',
      '1',
    );
    fc.assert(
      fc.property(fc.array(yaml, { maxLength: 12 }), (parts) => void check(parts.join(''))),
      { numRuns: 500 },
    );
  });

  test('nesting and size are bounded', () => {
    for (const deep of [50, 2000, 100_000]) {
      check(streamOf(`SELECT * FROM t WHERE ${'('.repeat(deep)}a${')'.repeat(deep)}`));
      check(
        streamOf(`SELECT * FROM t WHERE a ${'IN (SELECT a FROM t WHERE a '.repeat(deep / 10)}${')'.repeat(deep / 10)}`),
      );
      check(streamOf(`SELECT * FROM t WHERE ${'NOT '.repeat(deep)}a`));
      check(streamOf(`SELECT * FROM t WHERE ${'a OR '.repeat(deep)}a = auth.user_id()`));
      check(`streams: ${'['.repeat(deep)}`);
    }
    const aliases = Array.from(
      { length: 12 },
      (_, at) => `a${at + 1}: &a${at + 1} [${Array(9).fill(`*a${at}`).join(', ')}]`,
    ).join('\n');
    check(`a0: &a0 [x]\n${aliases}\nstreams: *a12\n`);
  });
});
