/** Stream subscriptions, with a real sync config (S-531 … S-536, S-551 … S-560, wire/06). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ProtocolClient, RefusedError } from '#test/client/protocol-client.ts';
import { only, startWithStreams, subscribe, type ConfiguredHarness } from './testing/real-config.ts';

const STREAMS = `  lists: { auto_subscribe: true, priority: 1, query: SELECT * FROM lists }
  my_items: { auto_subscribe: true, query: SELECT * FROM items WHERE owner_id = auth.user_id() }
  list_items: { query: "SELECT * FROM items WHERE list_id = subscription.parameter('list_id')" }
  shared_items: { query: "SELECT * FROM items WHERE list_id IN (SELECT list_id FROM members WHERE user_id = auth.user_id())" }
  versioned: { query: "SELECT * FROM docs WHERE v = connection.parameter('v')" }
`;
describe.each(['http', 'websocket'] as const)('over %s', (transport) => {
  const FORMAT = transport === 'http' ? ({ encoding: 'ndjson' } as const) : { transport };
  let harness: ConfiguredHarness;
  beforeEach(async () => void (harness = await startWithStreams(STREAMS)));
  afterEach(() => harness.close());

  interface Checkpoint {
    readonly buckets: readonly { bucket: string; priority: number; subscriptions: unknown }[];
    readonly streams: readonly unknown[];
  }
  async function connect(streams?: unknown, parameters?: unknown): Promise<ProtocolClient> {
    const client = harness.client('u1', {
      ...FORMAT,
      ...(streams === undefined ? {} : { streams }),
      ...(parameters === undefined ? {} : { parameters }),
    });
    await client.connect();
    await client.until(() => client.completedOp !== null);
    return client;
  }
  const first = (client: ProtocolClient): Checkpoint => client.lines[0]!['checkpoint'] as Checkpoint;
  /** Name without version and definition index, priority, reasons. */
  const bucketsOf = (client: ProtocolClient): unknown[] =>
    first(client).buckets.map(({ bucket, priority, subscriptions }) => [
      bucket.replace(/^\d+#(\w+)\|\d+/, '$1'),
      priority,
      subscriptions,
    ]);
  const stream = (name: string, isDefault = false, errors: unknown[] = []): object => ({
    name,
    is_default: isDefault,
    errors,
  });
  const LISTS = ['lists[]', 1, [{ default: 0 }]];
  const MY_ITEMS = ['my_items["u1"]', 3, [{ default: 1 }]];

  describe('which streams and buckets a session has', () => {
    test('without streams: those that are subscribed by default (S-532)', async () => {
      for (const streams of [undefined, {}, { subscriptions: [] }, { include_defaults: true }]) {
        const client = await connect(streams);
        expect(bucketsOf(client)).toEqual([LISTS, MY_ITEMS]);
        expect(first(client).streams).toEqual([stream('lists', true), stream('my_items', true)]);
        client.disconnect();
      }
    });

    test('none at all is a complete session too (S-562, S-613)', async () => {
      const client = await connect(only());
      expect(first(client)).toMatchObject({ buckets: [], streams: [] });
      expect(client.lines.map((line) => Object.keys(line)[0])).toEqual(['checkpoint', 'checkpoint_complete']);
      // What does not concern it is not announced (S-569).
      harness.commit({ changes: [{ definition: harness.definition('lists'), key: '[]', op: 'PUT', id: 'x' }] });
      const other = await connect();
      await other.until(() => other.visible.has('items/x'));
      expect(client.lines).toHaveLength(2);
    });

    test('subscriptions with parameters, each a bucket, with their indexes (S-533, S-551)', async () => {
      const client = await connect({
        subscriptions: [subscribe('list_items', { list_id: 'l1' }), subscribe('list_items', { list_id: 'l2' }, 2)],
      });
      expect(bucketsOf(client)).toEqual([
        LISTS,
        MY_ITEMS,
        ['list_items["l1"]', 3, [{ sub: 0 }]],
        ['list_items["l2"]', 2, [{ sub: 1 }]],
      ]);
      expect(first(client).streams).toEqual([stream('lists', true), stream('my_items', true), stream('list_items')]);
    });

    test('the same twice: every reason, and the highest priority (S-495, S-560)', async () => {
      const parameters = { list_id: 'l1' };
      const client = await connect(
        only(subscribe('list_items', parameters, 2), subscribe('list_items', parameters, 1)),
      );
      expect(bucketsOf(client)).toEqual([['list_items["l1"]', 1, [{ sub: 0 }, { sub: 1 }]]]);
    });

    test('a default stream that is subscribed explicitly has both reasons (S-559)', async () => {
      const client = await connect({ subscriptions: [subscribe('lists', null, 0)] });
      expect(bucketsOf(client)[0]).toEqual(['lists[]', 0, [{ default: 0 }, { sub: 0 }]]);
      const explicit = await connect(only(subscribe('lists')));
      expect(bucketsOf(explicit)).toEqual([['lists[]', 1, [{ sub: 0 }]]]);
      expect(first(explicit).streams).toEqual([stream('lists', true)]);
    });

    test.each([
      ['unknown stream', subscribe('no_such_stream'), [], []],
      ['parameter missing', subscribe('list_items'), [], [stream('list_items')]],
      ['parameter null', subscribe('list_items', { list_id: null }), [], [stream('list_items')]],
      ['a number', subscribe('list_items', { list_id: 5 }), ['list_items[5]'], [stream('list_items')]],
      [
        'an array',
        subscribe('list_items', { list_id: ['l1', 'l2'] }),
        ['list_items["[\\"l1\\",\\"l2\\"]"]'],
        [stream('list_items')],
      ],
    ])('%s (wire/06)', async (_name, subscription, buckets, streams) => {
      const client = await connect(only(subscription));
      expect(bucketsOf(client).map((bucket) => (bucket as unknown[])[0])).toEqual(buckets);
      expect(first(client).streams).toEqual(streams);
    });

    test.each(['text', 5, [1], true])(
      'parameters that are no object (%j): an error of that subscription (S-535, S-557)',
      async (parameters) => {
        const client = await connect(
          only(subscribe('list_items', { list_id: 'l1' }), subscribe('list_items', parameters)),
        );
        expect(bucketsOf(client)).toEqual([['list_items["l1"]', 3, [{ sub: 0 }]]]);
        expect(first(client).streams).toEqual([
          stream('list_items', false, [{ subscription: 1, message: expect.stringContaining('object') as string }]),
        ]);
      },
    );

    test('connection parameters (S-530)', async () => {
      expect(bucketsOf(await connect(only(subscribe('versioned')), { v: '2' }))).toEqual([
        ['versioned["2"]', 3, [{ sub: 0 }]],
      ]);
      expect(bucketsOf(await connect(only(subscribe('versioned')), null))).toEqual([]);
    });

    test('a priority beyond the lowest counts as the lowest (wire/06)', async () => {
      const client = await connect(only(subscribe('lists', null, 7)));
      expect(first(client).buckets.map(({ priority }) => priority)).toEqual([3]);
    });

    test.each([-1, 1.5])('a priority of %d is refused', async (priority) => {
      const refused = await connect(only(subscribe('lists', null, priority))).catch((error: unknown) => error);
      expect((refused as RefusedError).status).toBe(transport === 'http' ? 400 : 0);
      expect((refused as RefusedError).body).toContain('PSYNC_S2001');
    });
  });

  test('memberships come and go during a session; what comes back is sent from the beginning (S-566, wire/06)', async () => {
    const items = harness.definition('shared_items');
    const members = harness.definition('members');
    const row = (list: string, id: string) => ({ definition: items, key: `["${list}"]`, op: 'PUT', id }) as const;
    const member = (list: string | null) => ({
      lookups: [{ lookup: members, key: '["u1"]', row: 'm1', values: list === null ? null : `[["${list}"]]` }],
    });
    harness.commit({ changes: [row('l1', 'a'), row('l1', 'b'), row('l2', 'c')] });
    harness.commit(member('l1'));
    const client = await connect(only(subscribe('shared_items')));
    const visible = async (...ids: string[]): Promise<void> => {
      await client.until(() => client.completedOp === String(harness.storage.op), 'the newest checkpoint');
      expect([...client.visible.keys()].toSorted()).toEqual(ids.map((id) => `items/${id}`));
    };
    await visible('a', 'b');
    harness.commit(member('l2'));
    await visible('c');
    const diff = client.lines.findLast((line) => 'checkpoint_diff' in line)!['checkpoint_diff'] as {
      removed_buckets: string[];
      updated_buckets: { bucket: string }[];
    };
    expect(diff.removed_buckets).toEqual([expect.stringMatching(/\["l1"\]$/)]);
    expect(diff.updated_buckets).toEqual([
      expect.objectContaining({ bucket: expect.stringMatching(/\["l2"\]$/) as string }),
    ]);
    harness.commit(member(null));
    await visible();
    harness.commit(member('l1'));
    await visible('a', 'b');
    expect(client.lines.every((line) => !('checkpoint' in line) || line === client.lines[0])).toBe(true);
  });

  describe('what a client brings along', () => {
    const row = (id: string) => ({ definition: harness.definition('lists'), key: '[]', op: 'PUT', id }) as const;

    test('buckets that do not apply are ignored (S-525, S-629)', async () => {
      harness.commit({ changes: [row('a')] });
      const client = harness.client('u1', {
        ...FORMAT,
        body: {
          buckets: [
            { name: '9#gone|0[]', after: '5' },
            { name: '1#my_items|0["u2"]', after: '1' },
          ],
        },
      });
      await client.connect();
      await client.until(() => client.visible.has('items/a'));
      expect([...client.tracked!.buckets.keys()].toSorted()).toEqual([
        expect.stringContaining('lists'),
        expect.stringContaining('my_items'),
      ]);
    });

    test.each(['1000000', '9007199254740993', '9223372036854775807'])(
      'a position beyond every operation (%s) cannot be trusted: the checksum tells the client (S-539)',
      async (after) => {
        harness.commit({ changes: [row('a')] });
        const known = await connect();
        const name = [...known.tracked!.buckets.keys()].find((bucket) => bucket.includes('lists'))!;
        const client = harness.client('u1', { body: { buckets: [{ name, after }] }, ...FORMAT });
        await client.connect();
        await expect(client.until(() => client.completedOp !== null)).rejects.toThrow(/checksum|count|completion/i);
        // It comes back without the bucket, and has everything.
        const again = await connect();
        expect(again.visible.has('items/a')).toBe(true);
      },
    );

    test('old positions and no data: checkpoint and completion only (S-626)', async () => {
      harness.commit({ changes: [row('a')] });
      const client = await connect();
      client.disconnect();
      await client.connect();
      await client.until(() => client.lines.some((line) => 'checkpoint_complete' in line));
      expect(client.lines.map((line) => Object.keys(line)[0])).toEqual(['checkpoint', 'checkpoint_complete']);
    });
  });
});
