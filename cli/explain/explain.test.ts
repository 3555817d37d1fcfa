/** What is answered when source and storage do not say the same, or one of them says nothing. */
import { describe, expect, test } from 'vitest';
import type { BucketRef, Chunk } from '#core/bucket-storage/contract.ts';
import type { DeployedVersion } from '#core/bucket-storage/sync-config-store.ts';
import { encodeOperations, type Operation } from '#core/protocol/operations.ts';
import { planOf, table } from '#core/sync-config/testing/support.ts';
import { replicateRows, type FixtureTable } from '#core/sync-config/try-out/replicate.ts';
import type { SyncPlan } from '#core/sync-config/plan.ts';
import type { SqliteValue } from '#core/sync-config/values.ts';
import { encodeRowState } from '#replicator/pipeline/row-state.ts';
import type { FoundRows, ReplicatedTable } from '#replicator/sources/contract.ts';
import { humanExplanation } from './human.ts';
import type { Explanation } from './contract.ts';
import { explain, type ExplainDependencies } from './explain.ts';
import { parseExplainRequest } from './request.ts';

const CONFIG = `config: { edition: 3 }
streams:
  mine: { auto_subscribe: true, query: SELECT * FROM boats WHERE owner_id = auth.user_id() }
  berthed: { auto_subscribe: true, query: SELECT * FROM boats WHERE id IN (SELECT boat_id FROM berths WHERE user_id = auth.user_id()) }
`;
const COLUMNS = ['id', 'owner_id', 'name'];
type Row = readonly SqliteValue[];
const HERON: Row = ['b1', 'alice', 'Heron'];
const BOATS: ReplicatedTable = {
  ...table('boats', COLUMNS),
  ...{ relation: '16384', identityColumns: [0], identity: 'key', identityText: '["default",["id",25]]' },
};
const REGISTERED = {
  source: 'default',
  schema: 'public',
  name: 'boats',
  relation: '16384',
  identity: BOATS.identityText,
  id: 7,
};

interface World {
  readonly config?: string;
  /** Rows of boats as the source has them, or why it does not answer. */
  readonly source?: readonly Row[] | Partial<FoundRows> | Error | null;
  /** Rows of boats as they were replicated, and keys of rows that were removed from alice's bucket. */
  readonly stored?: readonly Row[];
  readonly removed?: readonly string[];
  readonly berths?: readonly Row[];
  readonly copy?: 'copying' | 'done';
  /** Row states by row. */
  readonly states?: Readonly<Record<string, string>>;
  readonly maxBuckets?: number;
}

const isRows = (source: readonly Row[] | Partial<FoundRows>): source is readonly Row[] => Array.isArray(source);
const found = (rows: readonly Row[], id: string): FoundRows => ({
  table: BOATS,
  report: null,
  rows: rows
    .filter((row) => row[0] === id)
    .map((row) => ({ key: String(row[0]), row, fault: null, shown: true, by: null })),
  unsearched: [],
});

function versionOf(plan: SyncPlan, copy: World['copy'] = 'done'): DeployedVersion {
  const definitions = [...plan.buckets, ...plan.lookups].map(({ identity, name, source }, at) => ({
    ...{
      kind: at < plan.buckets.length ? ('bucket' as const) : ('lookup' as const),
      identity,
      name,
      source,
      id: at + 1,
      since: 5,
    },
  }));
  const tables = [{ table: 7, generation: 0, state: copy, ranges: [], rowsCopied: 1, rowsEstimated: 9 }];
  const progress = {
    snapshot: copy === 'done' ? ('done' as const) : ('copying' as const),
    startPosition: '0/1',
    holdUntil: null,
    tables,
  };
  const stream = {
    ...{ id: 1, source: 'default', version: 5, slot: 's', position: '0/2', progress, definitions: [], committedOp: 1 },
    lastCommitMs: Date.parse('2026-01-02T03:04:05Z'),
  };
  return {
    ...{
      version: 5,
      state: 'active',
      content: '',
      plan: JSON.stringify(plan),
      label: null,
      definitions,
      streams: [stream],
    },
    ...{ error: null, createdMs: 0, activatedMs: 0 },
  };
}

function storageOf(plan: SyncPlan, version: DeployedVersion, world: World): ExplainDependencies['storage'] {
  const boats: FixtureTable = { ...table('boats', COLUMNS), rows: world.stored ?? [] };
  const berths: FixtureTable = { ...table('berths', ['boat_id', 'user_id']), rows: world.berths ?? [] };
  const { buckets, read } = replicateRows(plan, [boats, berths]);
  const operations = new Map<string, Operation[]>();
  let op = 0;
  const add = (identity: string, key: string, objectId: string, data: string | null): void => {
    const name = `${identity} ${key}`;
    const operation: Operation = {
      ...{
        opId: ++op,
        op: data === null ? 'REMOVE' : 'PUT',
        objectType: 'boats',
        objectId,
        subkey: `7/${objectId}`,
        checksum: 11,
        data,
      },
    };
    operations.set(name, [...(operations.get(name) ?? []), operation]);
  };
  for (const { identity } of plan.buckets)
    for (const [key, rows] of buckets(identity)) for (const { id, data } of rows) add(identity, key, id, data);
  for (const id of world.removed ?? []) add(plan.buckets[0]?.identity ?? '', '["alice"]', id, null);
  const identityOf = (id: number): string =>
    version.definitions.find((definition) => definition.id === id)?.identity ?? '';
  const listOf = ({ definition, key }: BucketRef): Operation[] =>
    operations.get(`${identityOf(definition)} ${key}`) ?? [];
  const chunk = (bucket: BucketRef): Chunk[] => {
    const list = listOf(bucket);
    const totals = { lastOp: list.at(-1)?.opId ?? 0, count: list.length, checksum: 0 };
    const bounds = { firstOp: list[0]?.opId ?? 0, lastOp: totals.lastOp, count: list.length, checksum: 0, totals };
    return list.length === 0 ? [] : [{ ...bucket, ...bounds, operations: encodeOperations(list) }];
  };
  return {
    configs: { active: async () => version },
    reader: {
      checkpoint: async () => ({ version: 5, op: 100 }),
      totals: async (refs: readonly BucketRef[]) =>
        refs.map((ref) => chunk(ref)[0]?.totals ?? { lastOp: 0, count: 0, checksum: 0 }),
      chunks: async (ref: BucketRef) => ({ chunks: chunk(ref), more: false }),
      lookups: async (keys: readonly { lookup: number; key: string }[]) =>
        read(keys.map(({ lookup, key }) => ({ identity: identityOf(lookup), key }))),
    },
    inspection: {
      tables: async ({ name }: { name: string }) => (name === 'boats' ? [REGISTERED] : []),
      rowStates: async (keys: readonly string[]) => keys.map((key) => world.states?.[key] ?? null),
    },
    writeCheckpoints: { reached: async () => [], unresolved: async () => [] },
  } as unknown as ExplainDependencies['storage'];
}

async function ask(id: string, world: World, more: object = {}): Promise<Explanation> {
  const plan = planOf(world.config ?? CONFIG);
  const version = versionOf(plan, world.copy);
  const { source = [HERON], maxBuckets = 1000 } = world;
  return explain(parseExplainRequest({ table: 'boats', id, user: 'alice', ...more }), {
    storage: storageOf(plan, version, world),
    sources: [{ tag: 'default', defaultSchema: 'public' }],
    askSource: () =>
      source === null
        ? null
        : async ({ text }) => {
            if (source instanceof Error) throw source;
            return isRows(source) ? found(source, text) : { ...found([], text), ...source };
          },
    limits: { maxBuckets, maxParameterResults: 1000 },
    sessions: () => [],
  });
}
const verdict = async (id: string, world: World, more: object = {}): Promise<string> => {
  const explanation = await ask(id, world, more);
  // whatever is answered can be printed
  expect(humanExplanation(explanation).startsWith(explanation.verdict.text)).toBe(true);
  return `${explanation.verdict.gets}: ${[explanation.verdict.text, ...explanation.verdict.because].join(' ')}`;
};

describe('source and storage', () => {
  test('say the same', async () => {
    expect(await verdict('b1', { stored: [HERON] })).toBe(
      'yes: alice gets boats/b1 through stream mine (bucket 5#mine|0["alice"], op 1).',
    );
  });

  test('storage has an earlier version, or not yet any', async () => {
    const stored: Row[] = [['b1', 'alice', 'Egret']];
    expect(await verdict('b1', { stored })).toBe(
      'outdated: alice gets boats/b1 through stream mine (bucket 5#mine|0["alice"], op 1), but an earlier version than the source has now. ' +
        'Replication committed last at 2026-01-02T03:04:05.000Z; storage is at checkpoint 100.',
    );
    expect(await verdict('b1', { copy: 'copying' })).toBe(
      'not yet: alice does not get boats/b1 yet: it belongs into bucket 5#mine|0["alice"], which does not hold it at checkpoint 100. ' +
        'Replication committed last at 2026-01-02T03:04:05.000Z; storage is at checkpoint 100. The copy of the table is copying.',
    );
    // it was removed, and came back
    expect(await verdict('b1', { stored, removed: ['b1'] })).toMatch(
      /^not yet: .* which does not hold it at checkpoint 100/,
    );
  });

  test('the source has removed it, storage not yet, or already', async () => {
    const gone = { source: [], stored: [HERON] };
    expect(await verdict('b1', gone)).toMatch(
      /^outdated: alice still gets boats\/b1 through stream mine \(bucket 5#mine\|0\["alice"\], op 1\)\. The source has no such row\./,
    );
    expect(await verdict('b1', { ...gone, removed: ['b1'] })).toBe(
      'no: alice does not get boats/b1: the source has no such row. It was removed from bucket 5#mine|0["alice"] with op 3.',
    );
  });

  test('the source keeps it from being replicated', async () => {
    const [row] = found([HERON], 'b1').rows;
    const hidden = { rows: [{ ...row!, shown: false }] };
    expect(await verdict('b1', { source: hidden })).toBe(
      'no: alice does not get boats/b1: the publication of public.boats has a row filter that leaves the row out.',
    );
    const fault = { code: 'PSYNC_S1002', message: 'The row has 16000000 bytes.' };
    expect(await verdict('b1', { source: { rows: [{ ...row!, row: null, fault }] } })).toBe(
      'no: alice does not get boats/b1: [PSYNC_S1002] The row has 16000000 bytes.',
    );
    const errors = [{ level: 'fatal' as const, code: 'PSYNC_S1151', message: 'Not published.' }];
    const report = { schema: 'public', name: 'boats', identityColumns: [], errors };
    expect(await verdict('b1', { source: { table: null, report } })).toBe(
      'no: alice does not get boats/b1: [PSYNC_S1151] Not published.',
    );
    expect(await verdict('b1', { source: { table: null } })).toBe(
      'no: alice does not get boats/b1: the source has no table public.boats.',
    );
  });
});

describe('a source that cannot be asked', () => {
  test('from here, or at all: what storage has', async () => {
    const asked = 'As storage has it; the source could not be asked: ';
    expect(await verdict('b1', { source: null, stored: [HERON] })).toBe(
      `yes: alice gets boats/b1 through stream mine (bucket 5#mine|0["alice"], op 1). ${asked}This process has no connection to the source "default".`,
    );
    const error = new Error('no answer within 10 s');
    expect(await verdict('b1', { source: error, stored: [HERON] })).toMatch(/asked: no answer within 10 s$/);
    expect(await verdict('b9', { source: error, stored: [HERON] })).toBe(
      'no: alice does not get boats/b9: no bucket that alice has holds it at checkpoint 100. Why is not known. The source could not be asked: no answer within 10 s',
    );
  });

  test('the row state says where the row is; its buckets are compared', async () => {
    const plan = planOf(CONFIG);
    const place = { definition: 1, key: '["bob"]', objectType: 'boats', objectId: 'b2' };
    const states = { '5/7/0/b2': encodeRowState([place], null, 'b2', 'boats') ?? '' };
    expect(plan.buckets[0]?.name).toBe('mine|0');
    expect(await verdict('b2', { source: null, states, stored: [['b2', 'bob', 'Tern']] })).toMatch(
      /^no: alice does not get boats\/b2: stream mine selects it for bucket 5#mine\|0\["bob"\]; alice has 5#mine\|0\["alice"\], because owner_id is 'bob', and auth\.user_id\(\) is 'alice'\./,
    );
  });
});

describe('other answers', () => {
  test('beyond the limit, for a row that is there and one that is not (S-384)', async () => {
    const berths: Row[] = [
      ['b1', 'alice'],
      ['b2', 'alice'],
      ['b3', 'alice'],
    ];
    const world = { berths, stored: [HERON], maxBuckets: 2 };
    expect(await verdict('b1', world)).toBe(
      'no: alice does not get boats/b1: the session is refused, [PSYNC_S2305] Too many buckets: 4 (limit of 2). ' +
        'Most of them: berthed: 3, mine: 1. Without the limit: alice gets boats/b1 through stream mine (bucket 5#mine|0["alice"], op 1). ' +
        'It is also in 5#berthed|0["b1"], op 2.',
    );
    // gone from one bucket, not yet from the other
    expect(await verdict('b1', { ...world, source: [], removed: ['b1'] })).toContain(
      'Without the limit: alice still gets boats/b1 through stream berthed (bucket 5#berthed|0["b1"], op 2).',
    );
  });

  test('several rows under one id: the key tells them apart', async () => {
    const [row] = found([HERON], 'b1').rows;
    const rows = [
      { ...row!, key: 'b7', row: ['b7', 'bob', 'b1'], by: 'name' },
      { ...row!, by: 'id' },
    ];
    const { source } = await ask('b1', { source: { rows } });
    // whose id on the client it is comes first
    expect(source).toMatchObject({ key: 'b1', others: ['b7'] });
  });

  test('bucket definitions are called so; the session may ask for no default streams', async () => {
    const legacy = `bucket_definitions:
  owned:
    parameters: SELECT request.user_id() AS owner
    data: [SELECT * FROM boats WHERE owner_id = bucket.owner]
`;
    expect(await verdict('b2', { config: legacy, source: [['b2', 'bob', 'Tern']] })).toBe(
      `no: alice does not get boats/b2: bucket definition owned selects it for bucket 5#owned["bob"]; alice has 5#owned["alice"], because owner_id is 'bob', and request.user_id() is 'alice'.`,
    );
    expect(await verdict('b1', { stored: [HERON] }, { include_defaults: false })).toContain(
      'but the session asks for no default streams (include_defaults is false).',
    );
  });

  test('no sync config is active', async () => {
    const dependencies = {
      storage: { configs: { active: async () => null }, reader: { checkpoint: async () => null } },
    };
    const request = parseExplainRequest({ table: 'boats', id: 'b1', user: 'alice' });
    await expect(explain(request, dependencies as unknown as ExplainDependencies)).rejects.toThrow('[PSYNC_S4104]');
  });
});
