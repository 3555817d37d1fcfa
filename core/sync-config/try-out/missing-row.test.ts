import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSessionResolver } from '../evaluate/session-resolver.ts';
import { planOf, table } from '../testing/support.ts';
import type { SqliteValue } from '../values.ts';
import { createRowFinder, type MissingReason } from './missing-row.ts';
import { replicateRows, type FixtureTable } from './replicate.ts';
import { trySession } from './try-session.ts';

async function why(config: string, tables: readonly FixtureTable[], userId: string) {
  const plan = planOf(config);
  const replicated = replicateRows(plan, tables);
  const request = { userId, claims: {}, connectionParameters: null, includeDefaults: true, subscriptions: [] };
  const limits = { maxBuckets: 1000, maxParameterResults: 1000 };
  const session = await trySession(request, { plan, resolver: createSessionResolver(plan), replicated, limits });
  const finder = createRowFinder(plan, tables, replicated);
  return {
    session,
    finder,
    why: (stream: string, of: string, id: string): MissingReason => finder.whyMissing(session, stream, of, id),
  };
}

const CONFIG = `config: { edition: 3 }
streams:
  mine:
    auto_subscribe: true
    query: SELECT * FROM items WHERE owner = auth.user_id() AND status = 'open'
  other:
    query: SELECT * FROM items
`;
const ID = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const ROWS = fc.uniqueArray(
  fc.tuple(ID, fc.constantFrom<SqliteValue>('u', 'v', null), fc.constantFrom<SqliteValue>('open', 'done', null)),
  { selector: ([id]) => id, maxLength: 5 },
);

describe('why a session does not have a row', () => {
  test('is said as the rows are (S-82)', async () => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(ROWS, ID, async (rows, id) => {
        const items: FixtureTable = { ...table('items', ['id', 'owner', 'status']), rows };
        const asked = await why(CONFIG, [items], 'u');
        const row = rows.find(([of]) => of === id);
        const [, owner, status] = row ?? [];
        const given = asked.session.streams.get('mine')?.some((of) => of.id === id) === true;
        expect(given).toBe(owner === 'u' && status === 'open');
        expect(asked.finder.exists('mine', 'items', id)).toBe(row !== undefined);
        const kind = given ? 'given' : asked.why('mine', 'items', id).kind;
        seen.add(kind);
        if (row === undefined) expect(kind).toBe('no-row');
        else if (status !== 'open') expect(kind).toBe('filtered');
        else if (owner === null) expect(kind).toBe('no-key');
        else expect(kind).toBe(owner === 'u' ? 'given' : 'other-bucket');
        expect(asked.why('other', 'items', id)).toEqual({ kind: 'not-subscribed' });
        expect(asked.why('mine', 'lists', id)).toEqual({ kind: 'other-table', tables: ['items'] });
      }),
    );
    expect([...seen].toSorted()).toEqual(['filtered', 'given', 'no-key', 'no-row', 'other-bucket']);
  });

  test('another bucket is named, with those of the session', async () => {
    const rows = [
      ['a', 'u', 'open'],
      ['b', 'v', 'open'],
    ];
    const asked = await why(CONFIG, [{ ...table('items', ['id', 'owner', 'status']), rows }], 'u');
    const reason = { kind: 'other-bucket', buckets: ['mine|0["v"]'], own: ['mine|0["u"]'] };
    expect(asked.why('mine', 'items', 'b')).toEqual(reason);
  });

  test('tables of patterns by their own names, an alias by itself (S-212, S-254, S-255)', async () => {
    const config = `config: { edition: 3 }
streams:
  s:
    auto_subscribe: true
    queries:
      - SELECT * FROM "log_%" WHERE "log_%".id != 'hidden'
      - SELECT id FROM items AS things
`;
    const log: FixtureTable = { ...table('log_2026', ['id']), rows: [['hidden']] };
    const asked = await why(config, [log], 'u');
    expect(asked.why('s', 'log_2026', 'hidden')).toMatchObject({
      kind: 'filtered',
      because: [{ kind: 'filter', value: '0' }],
    });
    expect(asked.why('s', 'items', 'x')).toEqual({ kind: 'other-table', tables: ['log_2026', 'things'] });
    expect(asked.why('s', 'things', 'x')).toEqual({ kind: 'no-row', sources: ['public.items'] });
  });

  test('a list that is empty, and a row that cannot be synced (S-641)', async () => {
    const config = `config: { edition: 3 }
streams:
  s:
    auto_subscribe: true
    queries:
      - SELECT * FROM notes WHERE auth.user_id() IN notes.readers
      - SELECT id, text || text || text || text AS text FROM notes AS copies
`;
    const rows = [['n', '[]', 'x'.repeat(4_000_000)]];
    const asked = await why(config, [{ ...table('notes', ['id', 'readers', 'text']), rows }], 'u');
    expect(asked.why('s', 'notes', 'n')).toMatchObject({
      kind: 'no-key',
      because: [{ kind: 'no-elements', sql: 'readers' }],
    });
    expect(asked.why('s', 'copies', 'n')).toMatchObject({ kind: 'rejected', code: 'PSYNC_S1002' });
  });
});
