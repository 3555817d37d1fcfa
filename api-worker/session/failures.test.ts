/** What goes wrong behind a session: before its first line the client gets a status, later the stream ends (S-607). */
import { afterEach, describe, expect, test } from 'vitest';
import type { CodedError } from '#core/platform/errors/coded-error.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { ErrorCode } from '#core/platform/errors/registry.ts';
import { RefusedError } from '#test/client/protocol-client.ts';
import { DEFINITIONS, GLOBAL, MEMBERS, PLAN, startHarness, type Harness } from '../testing/harness.ts';

let harness: Harness;
afterEach(() => harness.close());

const row = (id: string) => ({ definition: GLOBAL, key: '[]', op: 'PUT', id }) as const;
async function refusal(): Promise<{ status: number; error: Record<string, unknown> }> {
  const error: unknown = await harness
    .client('u1')
    .connect()
    .catch((thrown: unknown) => thrown);
  if (!(error instanceof RefusedError)) throw new Error(`not refused: ${String(error)}`);
  return { status: error.status, error: (JSON.parse(error.body) as { error: Record<string, unknown> }).error };
}
const lastEnd = (): Harness['logged'][number] =>
  harness.logged.findLast(({ message }) => message === 'Sync stream complete')!;

describe('before the first line', () => {
  const SECRET = 'connection to db.internal:5432 refused';
  test.each<[string, ErrorCode]>([
    ['lookups', 'PSYNC_S2403'],
    ['totals', 'PSYNC_S2404'],
    ['reached', 'PSYNC_S2402'],
  ])('%s cannot be read: the status has the code, the message stays in the log', async (what, code) => {
    harness = await startHarness();
    harness.storage.beforeRead = (read) => {
      if (read === what) throw codedError(code, SECRET);
    };
    const { status, error } = await refusal();
    expect([status, error['code']]).toEqual([500, code]);
    expect(JSON.stringify(error)).not.toContain('db.internal');
    expect(lastEnd()).toMatchObject({ level: 'error', fields: { error_code: code, close_reason: 'error' } });
    expect((lastEnd().fields['error'] as Error).message).toContain(SECRET);
    await harness.atRest();
    // It was the storage: the next attempt is served.
    harness.storage.beforeRead = () => undefined;
    await harness.client('u1').connect();
  });

  test('an error without a code shows nothing of itself', async () => {
    harness = await startHarness();
    harness.storage.beforeRead = (read) => {
      if (read === 'lookups') throw new TypeError(SECRET);
    };
    expect(await refusal()).toMatchObject({ status: 500, error: { code: 'PSYNC_S2001', name: 'InternalServerError' } });
    expect(lastEnd().level).toBe('error');
    await harness.atRest();
  });
});

describe('after the first line', () => {
  test('the stream ends in order, and the retry gets the status if it persists', async () => {
    harness = await startHarness();
    harness.commit({ changes: [row('a')] });
    const client = harness.client('u1', { acceptEncoding: 'gzip' });
    await client.connect();
    await client.until(() => client.completedOp !== null);
    harness.storage.beforeRead = (read) => {
      if (read === 'lookups') throw codedError('PSYNC_S2403', 'no answer in 30 s');
    };
    harness.commit({ lookups: [{ lookup: MEMBERS, key: '["u1"]', row: 'm', values: '[["r1"]]' }] });
    await client.ended;
    expect(lastEnd()).toMatchObject({ level: 'error', fields: { error_code: 'PSYNC_S2403', close_reason: 'error' } });
    await harness.atRest();
    expect((await refusal()).error['code']).toBe('PSYNC_S2403');
  });

  /** From its first read on, the bucket is not what was announced of it, as when a compaction got in between. `until` undoes it. */
  const changeBetween = async (until: (what: string) => boolean): Promise<void> => {
    const { storage } = harness;
    const { chunks } = await storage.reader.chunks({ definition: GLOBAL, key: '[]' }, 0, storage.op, 1e6);
    const changed = chunks.map((chunk) => ({
      ...chunk,
      totals: { ...chunk.totals, checksum: chunk.totals.checksum ^ 1 },
    }));
    storage.beforeRead = (what) => {
      if (what === 'chunks') storage.replaceChunks(GLOBAL, '[]', changed);
      if (!until(what)) return;
      storage.beforeRead = () => undefined;
      storage.replaceChunks(GLOBAL, '[]', chunks);
      storage.commit({ changes: [row('newer')] });
    };
  };

  test('what storage has is not what was announced, and nothing newer is there: PSYNC_S2404 (S-425)', async () => {
    harness = await startHarness();
    harness.commit({ changes: [row('a')] });
    await changeBetween(() => false);
    const client = harness.client('u1');
    await client.connect();
    await client.ended;
    expect(client.completedOp).toBe(null);
    expect(lastEnd().fields['error_code']).toBe('PSYNC_S2404');
    await harness.atRest();
  });

  test('a newer checkpoint takes the place of what cannot be served any more (S-426)', async () => {
    harness = await startHarness();
    harness.commit({ changes: [row('a')] });
    let isRead = false;
    await changeBetween((what) => {
      isRead ||= what === 'chunks';
      return isRead && what === 'checkpoint';
    });
    const client = harness.client('u1', { encoding: 'ndjson' });
    await client.connect();
    await client.until(() => client.visible.has('items/newer'));
    const kinds = client.lines.map((line) => Object.keys(line)[0]);
    expect(kinds.slice(0, 2)).toEqual(['checkpoint', 'checkpoint_diff']);
    expect(kinds.filter((kind) => kind === 'checkpoint_complete')).toHaveLength(1);
  });
});

test('what compaction has taken away of a checkpoint is not completed; one that has what replaced it is (S-425)', async () => {
  harness = await startHarness();
  harness.commit({ changes: [row('a'), row('b')] });
  const { storage } = harness;
  const { chunks } = await storage.reader.chunks({ definition: GLOBAL, key: '[]' }, 0, storage.op, 1e6);
  // Replaced by an operation of the next commit, of which this worker has not heard when it announces.
  let isCompacted = false;
  storage.beforeRead = (what) => {
    if (what !== 'chunks' || isCompacted) return;
    isCompacted = true;
    const { op } = storage.commit({ changes: [{ ...row('other'), key: '["other"]' }] });
    storage.replaceChunks(
      GLOBAL,
      '[]',
      chunks.map((chunk) => ({ ...chunk, needs: op })),
    );
  };
  const client = harness.client('u1', { encoding: 'ndjson' });
  await client.connect();
  await client.until(() => client.completedOp !== null);
  expect(client.completedOp).toBe(String(storage.op));
  expect(client.visible.has('items/b')).toBe(true);
  const kinds = client.lines.map((line) => Object.keys(line)[0]);
  expect(kinds.slice(0, 2)).toEqual(['checkpoint', 'checkpoint_diff']);
});

test('the announced count is without what compaction has taken away (S-424, S-622)', async () => {
  harness = await startHarness();
  harness.commit({ changes: [row('a')] });
  const { storage } = harness;
  const { totals } = storage.reader;
  Object.assign(storage.reader, {
    totals: async (...words: Parameters<typeof totals>) =>
      (await totals(...words)).map((each) => (each.count === 0 ? each : { ...each, count: 10, removed: 9 })),
  });
  const client = harness.client('u1', { encoding: 'ndjson' });
  await client.connect();
  await client.until(() => client.completedOp !== null);
  expect([...client.tracked!.buckets.values()].map(({ count }) => count).filter((count) => count > 0)).toEqual([1]);
});

describe('a deployment that does not fit its plan (PSYNC_S0001)', () => {
  test.each(['bucket', 'lookup'])('without the definition of a %s', async (kind) => {
    harness = await startHarness();
    const broken = DEFINITIONS.filter((definition) => definition.kind !== kind);
    harness.deploy(2, PLAN, broken);
    harness.commit({ version: 2 });
    expect(await refusal()).toMatchObject({ status: 500, error: { code: 'PSYNC_S0001' } });
    expect(lastEnd().level).toBe('error');
    expect((lastEnd().fields['error'] as CodedError).message).toContain('not deployed with it');
    await harness.atRest();
  });

  test('a version that is not stored is not followed; sessions go on with the one before', async () => {
    harness = await startHarness();
    const client = harness.client('u1');
    await client.connect();
    harness.commit({ version: 7, changes: [row('a')] });
    const failure = (): unknown => harness.logged.find(({ message }) => message.includes('cannot be followed'));
    await expect.poll(failure).toMatchObject({ level: 'error', fields: { code: 'PSYNC_S0001' } });
    expect(harness.worker.figures().sessions).toBe(1);
    expect(client.visible.has('items/a')).toBe(false);
    // Deployed at last: everything is caught up with.
    harness.deploy(7, PLAN, DEFINITIONS);
    await client.until(() => client.visible.has('items/a'));
  });
});
