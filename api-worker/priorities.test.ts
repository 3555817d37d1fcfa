/** Order of data by priority (S chapter 14), on a session whose client and storage the test controls. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually, startDirectSession, startDirectWorker, type DirectSession } from './testing/direct-session.ts';
import { createFakeStorage, type FakeStorage } from './testing/fake-storage.ts';
import { DEFINITIONS, GLOBAL, MEMBERS, MINE, PLAN, SHARED, URGENT } from './testing/harness.ts';

describe.each([
  ['lines', {}],
  ['payloads (S-598)', { payloads: 'plain' }],
  ['compressed payloads', { payloads: 'compressed' }],
] as const)('as %s', (_how, sink) => {
  let storage: FakeStorage;
  let worker: ReturnType<typeof startDirectWorker>;
  beforeEach(async () => {
    text = '{}';
    storage = createFakeStorage({ operationsPerChunk: 1, chunksPerRead: 1 });
    storage.deploy(1, DEFINITIONS, PLAN);
    storage.commit({ version: 1, lookups: [{ lookup: MEMBERS, key: '["u1"]', row: 'm', values: '[["r1"]]' }] });
    worker = startDirectWorker({ storage });
    await worker.feed.refresh();
  });
  afterEach(() => worker.close());

  /** By priority: urgent 0, global 1, shared 2, mine 3. */
  const BUCKETS = [
    { definition: URGENT, key: '[]' },
    { definition: GLOBAL, key: '[]' },
    { definition: SHARED, key: '["r1"]' },
    { definition: MINE, key: '["u1"]' },
  ] as const;
  /** Of each row. */
  let text = '{}';
  let ids = 0;
  const commit = (...priorities: number[]): void => {
    const changes = priorities.map((priority) => ({
      ...BUCKETS[priority]!,
      op: 'PUT' as const,
      id: `i${ids++}`,
      data: text,
    }));
    worker.announce(storage.commit({ changes }));
  };
  const URGENTLY = { subscriptions: [{ stream: 'urgent', parameters: null, overridePriority: null }] };
  const start = (options: Parameters<typeof startDirectSession>[2] = {}): DirectSession =>
    startDirectSession(worker, 'u1', { request: URGENTLY, ...sink, ...options });
  const complete = async (session: DirectSession): Promise<void> => {
    await eventually(() => {
      session.read();
      return session.model.completedOp === String(storage.op);
    }, `completed ${storage.op}`);
    expect(session.violation).toBe(null);
  };
  /** `data 2` for data of a bucket of priority 2, `partial 2`, or the kind of line. */
  const story = (session: DirectSession, from = 0): string[] => {
    const priorityOf = new Map<string, number>();
    const told = session.lines.map((line) => {
      const [kind, content] = Object.entries(line)[0] as [string, Record<string, unknown>];
      for (const list of ['buckets', 'updated_buckets'])
        for (const entry of (content[list] as { bucket: string; priority: number }[] | undefined) ?? [])
          priorityOf.set(entry.bucket, entry.priority);
      if (kind === 'data') return `data ${priorityOf.get(content['bucket'] as string)}`;
      return kind === 'partial_checkpoint_complete' ? `partial ${content['priority'] as number}` : kind;
    });
    return told.slice(from);
  };

  describe('the data of one checkpoint', () => {
    test('comes by priority, with a partial completion for each that is not the last (S-496, S-498, S-505)', async () => {
      commit(3, 2, 1, 0);
      const session = start();
      await complete(session);
      expect(story(session)).toEqual([
        'checkpoint',
        'data 0',
        'partial 0',
        'data 1',
        'partial 1',
        'data 2',
        'partial 2',
        'data 3',
        'checkpoint_complete',
      ]);
    });

    test('priorities without data are completed on the way, those that did not change are left out', async () => {
      commit(3);
      const session = start();
      await complete(session);
      // First sync of a priority is told even when it is empty (S-620).
      expect(story(session)).toEqual([
        'checkpoint',
        'partial 0',
        'partial 1',
        'partial 2',
        'data 3',
        'checkpoint_complete',
      ]);
      const from = session.lines.length;
      commit(1, 3);
      await complete(session);
      expect(story(session, from)).toEqual(['checkpoint_diff', 'data 1', 'partial 1', 'data 3', 'checkpoint_complete']);
    });

    test('priority 0 has a partial completion even if all else is unchanged (S-503); the others do not', async () => {
      const session = start();
      await complete(session);
      for (const [priority, lines] of [
        [0, ['checkpoint_diff', 'data 0', 'partial 0', 'checkpoint_complete']],
        [1, ['checkpoint_diff', 'data 1', 'checkpoint_complete']],
        [3, ['checkpoint_diff', 'data 3', 'checkpoint_complete']],
      ] as const) {
        const from = session.lines.length;
        commit(priority);
        await complete(session);
        expect(story(session, from)).toEqual(lines);
      }
    });

    test('a subscription can change the priority of its buckets for this client (S-494, S-495)', async () => {
      commit(3, 0);
      const override = start({
        request: {
          includeDefaults: false,
          subscriptions: [
            { stream: 'mine', parameters: null, overridePriority: 1 },
            { stream: 'urgent', parameters: null, overridePriority: 2 },
            { stream: 'urgent', parameters: null, overridePriority: 3 },
          ],
        },
      });
      await complete(override);
      // The highest of several counts.
      expect(story(override)).toEqual(['checkpoint', 'data 1', 'partial 1', 'data 2', 'checkpoint_complete']);
    });
  });

  describe('while less urgent data is being sent', () => {
    /** One write; or as many lines as a write has and an interruption needs, else the client is slower than the commits. */
    const PER_READ = 'payloads' in sink ? 6 : 1;
    /** A session that has sent the first pieces of a lot of priority 3, to a client that reads little at a time. */
    async function sending(): Promise<DirectSession> {
      // A write has few of them.
      text = JSON.stringify('x'.repeat(20_000));
      commit(...Array.from({ length: 40 }, () => 3));
      const session = start({ patience: () => PER_READ });
      await eventually(() => {
        session.read();
        return story(session).filter((line) => line === 'data 3').length >= 3;
      }, 'some data');
      return session;
    }
    const opsOf = (session: DirectSession): string[] =>
      session.lines.flatMap(({ data }) => {
        const line = data as { bucket: string; data: { op_id: string }[] } | undefined;
        return line?.bucket.includes('mine') === true ? line.data.map(({ op_id: opId }) => opId) : [];
      });

    test('more urgent data interrupts it, and it goes on where it was (S-499, S-500)', async () => {
      const session = await sending();
      const from = session.lines.length;
      commit(1);
      await complete(session);
      const told = story(session, from);
      const diff = told.indexOf('checkpoint_diff');
      expect(told.slice(0, diff).filter((line) => line === 'data 3').length).toBeLessThan(10);
      expect(told.slice(diff, diff + 4)).toEqual(['checkpoint_diff', 'data 1', 'partial 1', 'data 3']);
      expect(told.filter((line) => line === 'checkpoint_complete')).toHaveLength(1);
      const ops = opsOf(session);
      expect(ops).toHaveLength(40);
      expect(new Set(ops).size).toBe(40);
    });

    test('data of the same priority does not: it waits for the completion', async () => {
      const session = await sending();
      const from = session.lines.length;
      commit(3);
      await complete(session);
      const told = story(session, from);
      expect(told.indexOf('checkpoint_complete')).toBeLessThan(told.indexOf('checkpoint_diff'));
    });

    test('however often it is interrupted, it arrives', async () => {
      const session = await sending();
      await eventually(() => {
        if (opsOf(session).length < 40) commit(0);
        session.read();
        return opsOf(session).length === 40;
      }, 'all of it');
      await complete(session);
    });
  });

  test('any mixture of commits keeps the rules of priorities', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.nat(3), { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 12 }),
        fc.array(fc.constantFrom(1, 2, 100), { minLength: 1, maxLength: 4 }),
        async (commits, patience) => {
          let asked = 0;
          const session = start({ patience: () => patience[asked++ % patience.length]! });
          for (const priorities of commits) {
            commit(...priorities);
            await new Promise((resolve) => setImmediate(resolve));
            session.read();
          }
          // The client model knows the rules; a violation fails in here.
          await complete(session);
          session.close();
        },
      ),
      { numRuns: 30 },
    );
  });
});
