import { describe, expect, test } from 'vitest';
import { codesOf, compile, planOf, streamOf, table } from '../testing/support.ts';

const SCHEMA = [table('docs', ['id', 'owner', 'org']), table('members', ['id', 'org']), table('tags', ['id', 'doc'])];

/** What the config means without and with a known source schema, and the warnings of the latter. */
function meanings(query: string) {
  return {
    without: planOf(streamOf(query)),
    with: planOf(streamOf(query), { schema: SCHEMA }),
    codes: codesOf(streamOf(query), { schema: SCHEMA }),
  };
}

describe('columns that the source does not have (S-33, S-34)', () => {
  test.each([
    ['SELECT id, nope FROM docs', ['R2302']],
    ['SELECT id FROM docs WHERE nope = auth.user_id()', ['R2302']],
    // docs has an owner, members has none: the subquery must not become one about docs
    ['SELECT * FROM docs WHERE org IN (SELECT org FROM members WHERE owner = auth.user_id())', ['R2302']],
    ['SELECT * FROM nothing WHERE owner = auth.user_id()', ['R2301']],
  ])('%s', (query, codes) => {
    const meaning = meanings(query);
    expect(meaning.with).toEqual(meaning.without);
    expect(meaning.codes).toEqual(codes);
  });

  test('a known schema tells which table of a join a bare column belongs to', () => {
    const query = 'SELECT docs.* FROM docs JOIN tags ON doc = docs.id WHERE owner = auth.user_id()';
    expect(codesOf(streamOf(query))).toEqual(['R2216', 'R2216']);
    const qualified = 'SELECT docs.* FROM docs JOIN tags ON tags.doc = docs.id WHERE docs.owner = auth.user_id()';
    expect(planOf(streamOf(query), { schema: SCHEMA })).toEqual(planOf(streamOf(qualified)));
  });

  test('a column that no table of a join has is not guessed', () => {
    const query = 'SELECT docs.* FROM docs JOIN tags ON tags.doc = docs.id WHERE nope = 1';
    const { plan, diagnostics } = compile(streamOf(query), { schema: SCHEMA });
    expect([plan, diagnostics.map(({ code }) => code)]).toEqual([null, ['PSYNC_R2216']]);
  });
});

describe('a bare column belongs to the query that it stands in (G4)', () => {
  const withCte = (cte: string, query: string): string =>
    `config: { edition: 3 }\nstreams: { s: { with: { mine: ${JSON.stringify(cte)} }, query: ${JSON.stringify(query)} } }\n`;
  const MINE = 'SELECT id FROM docs WHERE owner = auth.user_id()';

  test.each([
    [
      'a CTE',
      'SELECT * FROM tags WHERE doc IN (SELECT doc FROM mine)',
      'mine has no column doc, only id; write tags.doc',
    ],
    [
      'a CTE with an alias',
      'SELECT * FROM tags AS t WHERE doc IN (SELECT doc FROM mine m)',
      'm has no column doc, only id; write t.doc',
    ],
    [
      'WHERE in a CTE',
      'SELECT * FROM tags WHERE doc IN (SELECT id FROM mine WHERE state = 1)',
      'mine has no column state, only id; write tags.state',
    ],
    [
      'ON',
      'SELECT * FROM tags WHERE doc IN (SELECT a.id FROM mine a JOIN mine b ON a.id = doc)',
      'a and b have no column doc, only id; write tags.doc',
    ],
    [
      'a subquery in FROM',
      'SELECT * FROM tags WHERE doc IN (SELECT doc FROM (SELECT id AS "Id" FROM docs) AS d)',
      'd has no column doc, only "Id"; write tags.doc',
    ],
    [
      'json_each',
      "SELECT * FROM tags WHERE doc IN (SELECT doc FROM json_each(auth.parameter('docs')))",
      'json_each has no column doc; use value',
    ],
    [
      'json_each of a column of the query around it',
      'SELECT * FROM docs WHERE owner IN (SELECT owner FROM json_each(docs.org))',
      'or write docs.owner if that is meant',
    ],
    [
      'two queries further out',
      'SELECT * FROM docs WHERE id IN (SELECT id FROM mine WHERE id IN (SELECT owner FROM mine))',
      'mine has no column owner, only id; write docs.owner',
    ],
    [
      'a name that hides the table around it',
      'SELECT * FROM mine WHERE id IN (SELECT nope FROM mine)',
      'mine has no column nope, only id.',
    ],
    ['no table yet', 'SELECT * FROM json_each(tags) AS t', 'There is no column tags here; name its table in FROM'],
  ])('%s', (_where, query, message) => {
    for (const options of [{}, { schema: SCHEMA }]) {
      const { plan, diagnostics } = compile(withCte(MINE, query), options);
      expect([plan, diagnostics.map((item) => item.code)]).toEqual([null, ['PSYNC_R2216']]);
      expect(diagnostics[0]?.message).toContain(message);
    }
  });

  test.each([
    ['with its table', 'SELECT * FROM tags WHERE id IN (SELECT id FROM mine WHERE mine.id = tags.doc)'],
    ['in a query without FROM', 'SELECT * FROM tags WHERE doc IN (SELECT doc)'],
    [
      'as the array of json_each, before which there is no table',
      'SELECT * FROM docs WHERE auth.user_id() IN (SELECT value FROM json_each(owners))',
    ],
    ['of a table, which may have any', 'SELECT * FROM tags WHERE doc IN (SELECT doc FROM docs)'],
    [
      'of a CTE with all columns of a table',
      'SELECT * FROM tags WHERE doc IN (SELECT doc FROM mine)',
      'SELECT * FROM docs',
    ],
  ])('%s it may', (_how, query, cte = MINE) => {
    expect(codesOf(withCte(cte, query))).toEqual([]);
  });

  test('in a query without FROM it is that of the query around it', () => {
    const of = (list: string): unknown =>
      planOf(streamOf(`SELECT * FROM tags WHERE doc IN ${list} AND id = auth.user_id()`));
    expect(of('(SELECT doc)')).toEqual(of('(SELECT tags.doc)'));
  });
});
