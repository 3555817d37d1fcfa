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
