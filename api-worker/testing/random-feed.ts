/** Random histories of an instance with two users, and what each user must see at any op of them. */
import fc from 'fast-check';
import type { FakeChange, FakeCommit, FakeStorage } from './fake-storage.ts';
import { DEFINITIONS, GLOBAL, MEMBERS, MINE, PLAN, SHARED, URGENT } from './harness.ts';

export const USERS = ['u1', 'u2'] as const;
const ROOMS = ['["r1"]', '["r2"]', '["r3"]'];
/** Definition id of `mine` in the second version. */
const MINE_2 = 20;

const bucket = fc.oneof(
  fc.constant({ definition: GLOBAL, key: '[]' }),
  fc
    .constantFrom(...USERS.map((user) => `["${user}"]`))
    .chain((key) => fc.constantFrom(MINE, MINE_2).map((definition) => ({ definition, key }))),
  fc.constantFrom(...ROOMS).map((key) => ({ definition: SHARED, key })),
  fc.constant({ definition: URGENT, key: '[]' }),
);
const change: fc.Arbitrary<FakeChange> = fc
  .tuple(bucket, fc.constantFrom('a', 'b', 'c', 'd'), fc.nat(99), fc.boolean())
  .map(([{ definition, key }, id, value, remove]) => ({
    definition,
    key,
    // The same id in several buckets would make the visible version depend on op ids; rows are kept apart by bucket.
    id: `${definition}${key}${id}`,
    ...(remove
      ? { op: 'REMOVE' as const }
      : {
          op: 'PUT' as const,
          data: JSON.stringify({ id, value, note: 'of some length '.repeat(value % 3 === 0 ? 40 : 0) }),
        }),
  }));
const membership = fc.tuple(fc.constantFrom(...USERS), fc.subarray(ROOMS)).map(([user, rooms]) => ({
  lookup: MEMBERS,
  key: JSON.stringify([user]),
  row: `members/${user}`,
  values: rooms.length === 0 ? null : `[${rooms.join()}]`,
}));

/** A commit; `switch` activates the other version with it. */
export interface RandomCommit extends FakeCommit {
  readonly switch: boolean;
}
export const randomCommit: fc.Arbitrary<RandomCommit> = fc.record({
  changes: fc.array(change, { maxLength: 8 }),
  lookups: fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: membership.map((entry) => [entry]) },
  ),
  writeCheckpoints: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    {
      weight: 1,
      arbitrary: fc
        .subarray([...USERS])
        .map((users) => users.map((userId) => ({ userId, clientId: `device of ${userId}`, checkpoint: 0n }))),
    },
  ),
  unlisted: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  switch: fc.oneof({ weight: 8, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});

const SECOND_PLAN = {
  streams: PLAN.streams.map((stream) => (stream.name === 'mine' ? { ...stream, identity: 'mine v2' } : stream)),
};
const SECOND_DEFINITIONS = DEFINITIONS.map((item) =>
  item.identity === 'mine' ? { ...item, identity: 'mine v2', id: MINE_2, since: 2 } : item,
);

export interface RandomFeed {
  /** Makes a commit at the storage; announcing it is left to the caller. */
  commit(commit: RandomCommit): ReturnType<FakeStorage['commit']>;
  /** Rows that a user with all streams must hold at a completed checkpoint. */
  expected(user: string, op: number): Map<string, string>;
  /** Newest write checkpoint of a user that a checkpoint at `op` contains. */
  reached(user: string, op: number): bigint | null;
}

/** Drives `storage`, whose first version it activates. */
export function createRandomFeed(storage: FakeStorage): RandomFeed {
  let version = 1;
  let numbers = 0;
  const reachedAt: { readonly userId: string; readonly checkpoint: bigint; readonly op: number }[] = [];
  const rooms = new Map<string, readonly string[]>();
  const past: {
    readonly op: number;
    readonly version: number;
    readonly rooms: ReadonlyMap<string, readonly string[]>;
  }[] = [];
  const note = (): void => void past.push({ op: storage.op, version, rooms: new Map(rooms) });
  storage.deploy(1, DEFINITIONS, PLAN);
  storage.commit({ version: 1 });
  note();

  return {
    commit(content) {
      for (const { key, values } of content.lookups ?? []) {
        const user = (JSON.parse(key) as string[])[0]!;
        rooms.set(
          user,
          values === null ? [] : (JSON.parse(values) as string[][]).map((tuple) => JSON.stringify(tuple)),
        );
      }
      if (content.switch) {
        version++;
        storage.deploy(
          version,
          version % 2 === 1 ? DEFINITIONS : SECOND_DEFINITIONS,
          version % 2 === 1 ? PLAN : SECOND_PLAN,
        );
      }
      // Numbers go up with the ops, whatever order a shrunk history has.
      const writeCheckpoints = (content.writeCheckpoints ?? []).map((item) => ({
        ...item,
        checkpoint: BigInt(++numbers),
      }));
      const notice = storage.commit({ ...content, version, writeCheckpoints });
      for (const { userId, checkpoint } of writeCheckpoints) reachedAt.push({ userId, checkpoint, op: notice.op });
      note();
      return notice;
    },
    reached: (user, op) => reachedAt.findLast((item) => item.userId === user && item.op <= op)?.checkpoint ?? null,
    expected(user, op) {
      const then = past.findLast((item) => item.op <= op)!;
      const held: [number, string][] = [
        [GLOBAL, '[]'],
        [then.version % 2 === 1 ? MINE : MINE_2, JSON.stringify([user])],
        [URGENT, '[]'],
        ...(then.rooms.get(user) ?? []).map((room): [number, string] => [SHARED, room]),
      ];
      return new Map(held.flatMap(([definition, key]) => [...storage.rowsAt(definition, key, op)]).toSorted());
    },
  };
}

/** Subscribes to the stream that is not default. */
export const ALL_STREAMS = [{ stream: 'urgent', parameters: null, overridePriority: null }];
