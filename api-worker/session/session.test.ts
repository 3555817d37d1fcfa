/**
 * A session against random feeds, on the fakes but for the connection: after each completion the client holds exactly the rows of the
 * checkpoint, whatever came when (G1, G2, G4). The client is the one of test/client, so every rule it checks is checked here.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import type { ProtocolClient } from '#test/client/protocol-client.ts';
import type { FakeChange, FakeCommit } from '../testing/fake-storage.ts';
import { createFakeStorage } from '../testing/fake-storage.ts';
import { DEFINITIONS, GLOBAL, MEMBERS, MINE, PLAN, SHARED, startHarness, URGENT, type Harness } from '../testing/harness.ts';

const ROOMS = ['["r1"]', '["r2"]', '["r3"]'];
const rowId = fc.constantFrom('a', 'b', 'c', 'd');
const bucket = fc.oneof(
  fc.constant({ definition: GLOBAL, key: '[]' }),
  fc.constantFrom('["u1"]', '["u2"]').map((key) => ({ definition: MINE, key })),
  fc.constantFrom(...ROOMS).map((key) => ({ definition: SHARED, key })),
  fc.constant({ definition: URGENT, key: '[]' }),
);
const change: fc.Arbitrary<FakeChange> = fc
  .tuple(bucket, rowId, fc.nat(99), fc.boolean(), fc.integer({ min: 0, max: 400 }))
  .map(([{ definition, key }, id, value, remove, pad]) => ({
    definition,
    key,
    // The same id in several buckets would make the visible version depend on op ids; keep rows apart by bucket.
    id: `${definition}${key}${id}`,
    ...(remove ? { op: 'REMOVE' as const } : { op: 'PUT' as const, data: JSON.stringify({ id, value, pad: 'x'.repeat(pad) }) }),
  }));
const membership = fc.tuple(fc.constantFrom('u1', 'u2'), fc.subarray(ROOMS)).map(([user, rooms]) => ({
  lookup: MEMBERS,
  key: JSON.stringify([user]),
  row: `members/${user}`,
  values: rooms.length === 0 ? null : `[${rooms.join()}]`,
}));

type Step =
  | { readonly kind: 'commit'; readonly commit: FakeCommit; readonly heard: boolean }
  | { readonly kind: 'reconnect' }
  | { readonly kind: 'stop reading' }
  | { readonly kind: 'wait' }
  | { readonly kind: 'switch' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .record({
        changes: fc.array(change, { maxLength: 6 }),
        lookups: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: membership.map((entry) => [entry]) }),
        unlisted: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
      })
      .chain((commit) => fc.boolean().map((heard): Step => ({ kind: 'commit', commit, heard }))),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'reconnect' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'stop reading' }) },
  { weight: 2, arbitrary: fc.constant<Step>({ kind: 'wait' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'switch' }) },
);

/** Two versions that share all definitions but one. */
const PLANS = [
  PLAN,
  { streams: PLAN.streams.map((stream) => (stream.name === 'mine' ? { ...stream, identity: 'mine v2' } : stream)) },
] as const;
const DEFINITIONS_2 = DEFINITIONS.map((item) => (item.identity === 'mine' ? { ...item, identity: 'mine v2', id: 20, since: 2 } : item));

let harness: Harness | null = null;
afterEach(async () => {
  await harness?.close();
  harness = null;
});

/** What the user may see as of an op, from the history of the fake. */
function expectedRows(storage: Harness['storage'], user: string, version: number, op: number, rooms: readonly string[]): Map<string, string> {
  const held = [
    [GLOBAL, '[]'],
    [version % 2 === 1 ? MINE : 20, JSON.stringify([user])],
    [URGENT, '[]'],
    ...rooms.map((room) => [SHARED, room]),
  ] as [number, string][];
  return new Map(held.flatMap(([definition, key]) => [...storage.rowsAt(definition, key, op)]));
}

async function run(steps: readonly Step[], encoding: 'bson' | 'ndjson', delays: readonly number[]): Promise<void> {
  const storage = createFakeStorage({ operationsPerChunk: 2 });
  storage.deploy(1, DEFINITIONS, PLANS[0]);
  let version = 1;
  const rooms = new Map<string, string[]>();
  /** Rooms and version by op, to know what a completion at that op must hold. */
  const past: { op: number; version: number; rooms: Map<string, string[]> }[] = [];
  let turn = 0;
  storage.beforeRead = () => {
    const ms = delays[turn++ % delays.length] ?? 0;
    return ms === 0 ? undefined : new Promise((resolve) => setTimeout(resolve, ms));
  };
  storage.commit({ version: 1 });
  const note = (): void => void past.push({ op: storage.op, version, rooms: new Map([...rooms].map(([user, list]) => [user, [...list]])) });
  note();
  const mine = (harness = await startHarness({ storage, shared: false }));
  const streams = { include_defaults: true, subscriptions: [{ stream: 'urgent', parameters: null, override_priority: null }] };
  const clients = ['u1', 'u2'].map((user) => ({ user, client: mine.client(user, { encoding, streams }), checked: '' }));

  const check = ({ user, client }: { user: string; client: ProtocolClient }): void => {
    if (client.completedOp === null) return;
    const op = Number(client.completedOp);
    const then = past.findLast((item) => item.op <= op)!;
    const expected = expectedRows(storage, user, then.version, op, then.rooms.get(user) ?? []);
    expect(new Map([...client.store.rows()].toSorted())).toEqual(new Map([...expected].toSorted()));
  };

  for (const { client } of clients) await client.connect();
  for (const next of steps) {
    if (next.kind === 'commit') {
      for (const { key, values } of next.commit.lookups ?? []) {
        rooms.set((JSON.parse(key) as string[])[0]!, values === null ? [] : (JSON.parse(values) as string[][]).map((tuple) => JSON.stringify(tuple)));
      }
      const notice = storage.commit(next.commit);
      note();
      if (next.heard) mine.announce(notice);
    } else if (next.kind === 'reconnect') {
      for (const { client } of clients) await client.connect();
    } else if (next.kind === 'stop reading') {
      clients[0]!.client.pause();
      await new Promise((resolve) => setTimeout(resolve, 2));
      clients[0]!.client.resume();
    } else if (next.kind === 'switch') {
      version++;
      storage.deploy(version, version % 2 === 1 ? DEFINITIONS : DEFINITIONS_2, PLANS[(version + 1) % 2]);
      const notice = storage.commit({ version });
      note();
      mine.announce(notice);
    } else {
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
  }
  // A write checkpoint makes the end visible to both.
  mine.announce(storage.commit({ writeCheckpoints: clients.map(({ user }) => ({ userId: user, clientId: `device of ${user}`, checkpoint: 77n })) }));
  note();
  for (const each of clients) {
    await each.client.until(() => each.client.writeCheckpoint === 77n, `${each.user} complete`);
    check(each);
  }
  await mine.close();
  harness = null;
}

describe('sessions against random feeds', () => {
  test.each(['bson', 'ndjson'] as const)('clients hold exactly the rows of each checkpoint, %s', { timeout: 120_000 }, async (encoding) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), fc.array(fc.constantFrom(0, 0, 0, 1, 4), { minLength: 1, maxLength: 7 }), (steps, delays) =>
        run(steps, encoding, delays),
      ),
      { numRuns: Number(process.env["RUNS"] ?? 40) },
    );
  });
});
