/**
 * What every implementation of the contract keeps, as tests. Each is run by in-process/in-process-coordination.test.ts
 * and redis/redis-coordination.integration.test.ts. What only Redis can suffer is in redis/*.integration.test.ts.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { realClock } from '#core/platform/clock.ts';
import type { CommitNotice } from '../bucket-storage/contract.ts';
import type { Coordination, LeaseOptions, NudgeTopic } from './contract.ts';
import type { CoordinationEnvironment } from './environment.ts';

/** Two processes of one instance. In process they are the same object. */
export interface Instance {
  readonly first: Coordination;
  readonly second: Coordination;
  close(): Promise<void>;
}

/** For the tests of coordination: real time, quiet, small limits, quick retries. */
export function testEnvironment(): CoordinationEnvironment {
  return {
    log: { info: () => {}, warn: () => {} },
    clock: realClock,
    random: Math.random,
    jobs: { maxWaiting: 5, maxBytes: 1000, maxKeyLength: 100, attempts: 3, retryMs: 20, stopMs: 2000, lockMs: 2000 },
  };
}

export function noticeOf(op: number): CommitNotice {
  return {
    version: 1,
    op,
    previous: op - 1,
    buckets: [{ definition: 3, key: '["u1",3]', lastOp: op, count: 7, checksum: 4_294_967_295 }],
    lookups: [{ lookup: 4, key: '["u1"]' }],
    writeCheckpoints: [{ userId: 'u1', clientId: 'c1', checkpoint: 2n ** 62n + BigInt(op) }],
    sourceTimeMs: null,
    storedMs: 1_700_000_000_000,
  };
}

const neverAborts = new AbortController().signal;
const leaseOf = (name: string, owner: string): LeaseOptions => ({ name, owner, ttlMs: 3000 });
const pause = (ms: number): Promise<void> => realClock.sleep(ms);

export interface Heard {
  readonly notices: CommitNotice[];
  /** How often it was told that it may have missed something, since `listen` resolved. */
  reconnects(): number;
  stop(): void;
}

export function collect(coordination: Coordination): Heard {
  const notices: CommitNotice[] = [];
  let reconnects = 0;
  const stop = coordination.onCommit(
    (notice) => void notices.push(notice),
    () => reconnects++,
  );
  return { notices, reconnects: () => reconnects, stop };
}

/** The first listener of a process; resolves once it hears other processes. */
export async function listen(coordination: Coordination): Promise<Heard> {
  const heard = collect(coordination);
  if (!coordination.shared) return heard;
  await vi.waitFor(() => expect(heard.reconnects()).toBeGreaterThan(0), { interval: 5 });
  const before = heard.reconnects();
  return { ...heard, reconnects: () => heard.reconnects() - before };
}

export function conformance(open: () => Promise<Instance>): void {
  let instance: Instance;
  const opened = async (): Promise<Instance> => (instance = await open());
  afterEach(() => instance.close());

  describe('leases', () => leases(opened));
  describe('commit notices', () => commits(opened));
  describe('nudges', () => nudges(opened));
  describe('jobs', () => {
    jobs(opened);
    jobFailures(opened);
  });
  describe('after close', () => closing(opened));
}

function leases(opened: () => Promise<Instance>): void {
  test('one of two contenders holds it; the other follows at once after the release (O-11)', async () => {
    const { first, second } = await opened();
    const held = await first.acquire(leaseOf('source', 'a'), neverAborts);
    let follower = false;
    const waiting = second.acquire(leaseOf('source', 'b'), neverAborts).then((lease) => {
      follower = true;
      return lease;
    });
    await pause(200);
    expect(follower).toBe(false);
    expect(await second.holder('source')).toBe('a');

    const releasedAt = performance.now();
    await held.release();
    const next = await waiting;
    expect(performance.now() - releasedAt).toBeLessThan(500);
    expect(await first.holder('source')).toBe('b');
    expect(held.lost.aborted || next.lost.aborted).toBe(false);
    await held.release();
    expect(await first.holder('source')).toBe('b');
    await next.release();
    expect(await first.holder('source')).toBe(null);
  });

  test('many contenders: never two at once, everyone in the end', async () => {
    const { first, second } = await opened();
    let inside = 0;
    let turns = 0;
    const contender = async (coordination: Coordination, owner: string): Promise<void> => {
      for (let turn = 0; turn < 5; turn++) {
        const lease = await coordination.acquire(leaseOf('busy', owner), neverAborts);
        expect(++inside).toBe(1);
        await pause(2);
        inside--;
        turns++;
        await lease.release();
      }
    };
    await Promise.all(['a', 'b', 'c', 'd'].map((owner, index) => contender(index % 2 ? first : second, owner)));
    expect(turns).toBe(20);
  });

  test('names do not exclude each other', async () => {
    const { first, second } = await opened();
    await first.acquire(leaseOf('one', 'a'), neverAborts);
    await second.acquire(leaseOf('two', 'b'), neverAborts);
    expect(await Promise.all([first.holder('one'), first.holder('two'), first.holder('three')])).toEqual([
      'a',
      'b',
      null,
    ]);
  });

  test('a waiter that is aborted leaves with the reason and is not given the lease', async () => {
    const { first, second } = await opened();
    const held = await first.acquire(leaseOf('source', 'a'), neverAborts);
    const stopped = new AbortController();
    const leaving = second.acquire(leaseOf('source', 'b'), stopped.signal);
    const staying = second.acquire(leaseOf('source', 'c'), neverAborts);
    const reason = new Error('stopping');
    await pause(50);
    stopped.abort(reason);
    await expect(leaving).rejects.toBe(reason);
    await expect(second.acquire(leaseOf('source', 'd'), stopped.signal)).rejects.toBe(reason);
    await held.release();
    await staying;
    expect(await first.holder('source')).toBe('c');
  });
}

function commits(opened: () => Promise<Instance>): void {
  test('everybody hears every notice once and in order, the publisher too', async () => {
    const { first, second } = await opened();
    const [near, far] = [await listen(first), await listen(second)];
    const published = Array.from({ length: 300 }, (_, index) => noticeOf(index + 1));
    for (const notice of published) first.publishCommit(notice);
    await vi.waitFor(() => expect(far.notices).toHaveLength(300), { interval: 5 });
    expect(far.notices).toEqual(published);
    await vi.waitFor(() => expect(near.notices).toHaveLength(300));
    await pause(50);
    expect(near.notices).toEqual(published);
    expect(far.notices).toHaveLength(300);
    expect(near.reconnects() + far.reconnects()).toBe(0);
  });

  test('a listener that throws, and one that left, do not concern the others', async () => {
    const { first, second } = await opened();
    let heard = !second.shared;
    second.onCommit(
      () => {
        throw new Error('listener');
      },
      () => (heard = true),
    );
    await vi.waitFor(() => expect(heard).toBe(true), { interval: 5 });
    const [gone, here] = [collect(second), collect(second)];
    gone.stop();
    first.publishCommit(noticeOf(1));
    await vi.waitFor(() => expect(here.notices).toHaveLength(1));
    expect(gone.notices).toEqual([]);
    here.stop();
    const again = collect(second);
    first.publishCommit(noticeOf(2));
    await vi.waitFor(() => expect(again.notices.map(({ op }) => op)).toContain(2));
    expect(here.notices).toHaveLength(1);
  });
}

function nudges(opened: () => Promise<Instance>): void {
  test('a burst is merged, its last nudge is heard, topics are apart', async () => {
    const { first, second } = await opened();
    let requested = 0;
    let seen = -1;
    let calls = 0;
    let others = 0;
    second.onNudge('write-checkpoints', () => {
      calls++;
      seen = requested;
    });
    second.onNudge('sync-config', () => others++);
    if (second.shared) await vi.waitFor(() => expect(Math.min(calls, others)).toBe(1), { interval: 5 });
    calls = others = 0;
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 50; i++) {
        requested++;
        first.nudge('write-checkpoints');
      }
      await pause(1);
    }
    await vi.waitFor(() => expect(seen).toBe(1000), { interval: 5 });
    expect(calls).toBeLessThanOrEqual(40);
    expect(others).toBe(0);
  });

  const topics: readonly NudgeTopic[] = ['write-checkpoints', 'sync-config', 'revocations'];
  test.each(topics)('%s is heard by the other process, and by nobody who listens to another topic', async (topic) => {
    const { first, second } = await opened();
    const heard = new Map<NudgeTopic, number>();
    for (const each of topics) second.onNudge(each, () => heard.set(each, (heard.get(each) ?? 0) + 1));
    if (second.shared) await vi.waitFor(() => expect(heard.size).toBe(topics.length), { interval: 5 });
    heard.clear();
    first.nudge(topic);
    await vi.waitFor(() => expect([...heard]).toEqual([[topic, 1]]), { interval: 5 });
  });

  test('a nudge from inside a listener is another round; the nudging process hears it too', async () => {
    const { first } = await opened();
    let rounds = 0;
    const stop = first.onNudge('sync-config', () => {
      rounds++;
      if (rounds < 5) first.nudge('sync-config');
    });
    first.nudge('sync-config');
    await vi.waitFor(() => expect(rounds).toBeGreaterThanOrEqual(5));
    stop();
    const before = rounds;
    first.nudge('sync-config');
    await pause(50);
    expect(rounds).toBe(before);
  });
}

/** A handler that runs until it is told to end. */
function gate(): { opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

function jobs(opened: () => Promise<Instance>): void {
  test('a job reaches a worker of another process, with its data', async () => {
    const { first, second } = await opened();
    const received: unknown[] = [];
    second.jobs.work('compaction', async (data) => void received.push(data));
    const data = { bucket: '3["u1"]', from: 12, nested: [null, { deep: 'ä€' }] };
    await first.jobs.add('compaction', '3:["u1"]/ä', data);
    await first.jobs.add('compaction', '17', undefined);
    await vi.waitFor(() => expect(received).toHaveLength(2), { timeout: 5000 });
    expect(received).toEqual([data, null]);
    expect(received[0]).not.toBe(data);
  });

  test('a key that waits or runs is not queued again, one that is done is', async () => {
    const { first, second } = await opened();
    const first3 = gate();
    const seen: unknown[] = [];
    await first.jobs.add('clearing', 'a', 1);
    await second.jobs.add('clearing', 'a', 2);
    await second.jobs.add('clearing', 'b', 3);
    second.jobs.work('clearing', async (data) => {
      seen.push(data);
      if (seen.length === 1) await first3.opened;
    });
    await vi.waitFor(() => expect(seen).toEqual([1]), { timeout: 5000 });
    await first.jobs.add('clearing', 'a', 4);
    first3.open();
    await vi.waitFor(() => expect(seen).toEqual([1, 3]), { timeout: 5000 });
    await pause(50);
    await first.jobs.add('clearing', 'a', 5);
    await vi.waitFor(() => expect(seen).toEqual([1, 3, 5]), { timeout: 5000 });
  });

  test('one at a time per key, one at a time per worker, whoever adds', async () => {
    const { first, second } = await opened();
    const running = new Set<unknown>();
    let finished = 0;
    let workersBusy = 0;
    const handler = async (key: unknown): Promise<void> => {
      expect(running.has(key)).toBe(false);
      expect(++workersBusy).toBeLessThanOrEqual(2);
      running.add(key);
      await pause(3);
      running.delete(key);
      workersBusy--;
      finished++;
    };
    first.jobs.work('compaction', handler);
    second.jobs.work('compaction', handler);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 6 }), async (keys) => {
        await Promise.all(keys.map((key, index) => (index % 2 ? first : second).jobs.add('compaction', key, key)));
      }),
      { numRuns: 15 },
    );
    await first.jobs.add('compaction', 'last', 'last');
    await vi.waitFor(() => expect([finished > 0, running.size]).toEqual([true, 0]), { timeout: 5000 });
  });

  test('what is too large, and what is too many, is refused with PSYNC_S2504', async () => {
    const { first, second } = await opened();
    await expect(first.jobs.add('clearing', 'a', 'x'.repeat(1000))).rejects.toMatchObject({ code: 'PSYNC_S2504' });
    await expect(first.jobs.add('clearing', 'k'.repeat(101), 1)).rejects.toMatchObject({ code: 'PSYNC_S2504' });
    for (let index = 0; index < 5; index++) await first.jobs.add('clearing', `${index}`, index);
    await expect(second.jobs.add('clearing', 'one more', 1)).rejects.toMatchObject({ code: 'PSYNC_S2504' });
    await second.jobs.add('clearing', '3', 'is there already');
    await second.jobs.add('compaction', 'another name', 1);
  });
}

function jobFailures(opened: () => Promise<Instance>): void {
  test('a failed job is tried again, then given up, and can be added again', async () => {
    const { first, second } = await opened();
    let calls = 0;
    second.jobs.work('compaction', async () => {
      calls++;
      if (calls !== 5) throw new Error('does not work');
    });
    await first.jobs.add('compaction', 'a', 1);
    await vi.waitFor(() => expect(calls).toBe(3), { timeout: 5000 });
    await pause(200);
    expect(calls).toBe(3);
    await first.jobs.add('compaction', 'a', 1);
    await vi.waitFor(() => expect(calls).toBe(5), { timeout: 5000 });
    await pause(200);
    expect(calls).toBe(5);
  });

  test('stopping a worker aborts its handler and leaves the job to another, as if it had not run', async () => {
    const { first, second } = await opened();
    const aborted: unknown[] = [];
    let started = 0;
    const untilAborted = async (_data: unknown, signal: AbortSignal): Promise<void> => {
      started++;
      await realClock.sleep(60_000, signal).catch((error: unknown) => {
        aborted.push(error);
        throw error;
      });
    };
    await second.jobs.add('compaction', 'a', 1);
    // As often as a failing job would be tried, and once more.
    for (let round = 1; round <= 4; round++) {
      const stop = first.jobs.work('compaction', untilAborted);
      await vi.waitFor(() => expect(started).toBe(round), { timeout: 5000, interval: 5 });
      await stop();
      await stop();
      expect(aborted).toHaveLength(round);
    }
    expect(aborted[0]).toMatchObject({ code: 'PSYNC_S2501' });
    let done = false;
    second.jobs.work('compaction', async () => void (done = true));
    await vi.waitFor(() => expect(done).toBe(true), { timeout: 5000 });
  });
}

function closing(opened: () => Promise<Instance>): void {
  test('leases are given back and lost, waiters and jobs refused, listeners left alone', async () => {
    const { first } = await opened();
    const heard = await listen(first);
    const held = await first.acquire(leaseOf('source', 'a'), neverAborts);
    const waiting = first.acquire(leaseOf('source', 'b'), neverAborts);
    let handlerEnded = false;
    first.jobs.work('compaction', async (_data, signal) => {
      await realClock.sleep(60_000, signal).finally(() => (handlerEnded = true));
    });
    await first.jobs.add('compaction', 'a', 1);
    await pause(200);
    const refused = expect(waiting).rejects.toMatchObject({ code: 'PSYNC_S2501' });
    await first.close();
    await first.close();
    await refused;
    expect(held.lost.aborted).toBe(true);
    await held.release();
    expect(handlerEnded).toBe(true);
    first.publishCommit(noticeOf(1));
    first.nudge('sync-config');
    await pause(20);
    expect(heard.notices).toEqual([]);
    await expect(first.acquire(leaseOf('source', 'c'), neverAborts)).rejects.toMatchObject({ code: 'PSYNC_S2501' });
    await expect(first.jobs.add('compaction', 'b', 1)).rejects.toMatchObject({ code: 'PSYNC_S2501' });
    expect(() => first.jobs.work('compaction', async () => {})).toThrow('PSYNC_S2501');
  });
}
