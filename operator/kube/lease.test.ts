import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createFakeClock, type Clock, type FakeClock } from '#core/platform/clock.ts';
import type { Kube, KubeObject, Place, ResourceType } from './contract.ts';
import { KubeError } from './kube-error.ts';
import { runWhileLeader, type Lease } from './lease.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const place = { namespace: 'millrace', name: 'operator' };

/** One Lease with optimistic locking; requests take time, and are carried out before or after it. */
function leaseServer(clock: FakeClock, delay: () => { before: number; after: number; lost: boolean }) {
  let present: Lease | null = null;
  let version = 0;
  const request = async <T>(carryOut: () => T): Promise<T> => {
    const { before, after, lost } = delay();
    await clock.sleep(before);
    if (lost) throw new KubeError('Unreachable', 'lost');
    const answer = carryOut();
    await clock.sleep(after);
    return structuredClone(answer);
  };
  const store = (object: KubeObject): Lease =>
    (present = { ...(object as Lease), metadata: { ...object.metadata, resourceVersion: String(++version) } });
  const kube = {
    get: (_type: ResourceType, _place: Place) => request(() => present),
    create: (_type: ResourceType, object: KubeObject) =>
      request(() => {
        if (present !== null) throw new KubeError('AlreadyExists', 'there');
        return store(object);
      }),
    replace: (_type: ResourceType, object: KubeObject) =>
      request(() => {
        if (object.metadata.resourceVersion !== present?.metadata.resourceVersion)
          throw new KubeError('Conflict', 'other');
        return store(object);
      }),
  };
  return { kube: kube as unknown as Pick<Kube, 'get' | 'create' | 'replace'>, present: () => present };
}

/** A clock whose wall time is wrong; time passes as in `clock`. */
const skewed = (clock: FakeClock, byMs: number): Clock => ({
  ...clock,
  now: () => clock.now() + byMs,
  monotonic: () => clock.monotonic(),
});

describe('leader election', () => {
  test('two never lead at once, whatever the wall clocks say and however late or lost requests are (O-11)', async () => {
    const candidate = fc.record({
      skew: fc.integer({ min: -1e8, max: 1e8 }),
      startMs: fc.nat(5000),
      stopMs: fc.integer({ min: 5000, max: 60_000 }),
    });
    const delays = fc.infiniteStream(
      fc.record({
        before: fc.oneof({ weight: 5, arbitrary: fc.nat(50) }, fc.nat(14_000)),
        after: fc.oneof({ weight: 5, arbitrary: fc.nat(50) }, fc.nat(14_000)),
        lost: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.boolean()),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(candidate, { minLength: 2, maxLength: 4 }), delays, async (candidates, delays) => {
        const clock = createFakeClock();
        const server = leaseServer(clock, () => delays.next().value);
        let leaders = 0;
        const ended = candidates.map(async ({ skew, startMs, stopMs }, index) => {
          await clock.sleep(startMs);
          const stop = new AbortController();
          clock.setTimer(stopMs, () => stop.abort());
          const options = {
            kube: server.kube,
            place,
            identity: `p${index}`,
            clock: skewed(clock, skew),
            random: () => 0.5,
            log,
          };
          await runWhileLeader(options, stop.signal, async (signal) => {
            expect(++leaders).toBe(1);
            if (!signal.aborted)
              await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
            leaders--;
          });
        });
        const all = Promise.all(ended);
        all.catch(() => undefined);
        await clock.advance(200_000);
        await all;
      }),
      { numRuns: 60 },
    );
  });

  const steady = () => ({ before: 5, after: 5, lost: false });
  const leading = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

  test('a released lease is taken over at the next try, a dead one after its duration', async () => {
    const clock = createFakeClock();
    const server = leaseServer(clock, steady);
    const ledAt: Record<string, number> = {};
    const run = (identity: string, signal: AbortSignal, kube = server.kube): Promise<void> =>
      runWhileLeader({ kube, place, identity, clock, random: () => 0, log }, signal, (until) => {
        ledAt[identity] = clock.monotonic();
        return leading(until);
      });
    const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()];
    // A process that is killed never answers again.
    let dead = false;
    const mortal = new Proxy(server.kube, {
      get: (kube, method: 'get') => (dead ? () => new Promise(() => undefined) : kube[method]),
    });
    void run('first', first.signal);
    await clock.advance(100);
    const ended = run('second', second.signal, mortal);
    void run('third', third.signal);
    await clock.advance(60_000);
    expect(Object.keys(ledAt)).toEqual(['first']);
    third.abort();
    first.abort();
    await clock.advance(2500);
    expect(ledAt['second']! - 60_100).toBeLessThan(2500);
    expect(server.present()?.spec).toMatchObject({ holderIdentity: 'second', leaseTransitions: 1 });

    dead = true;
    const diedAt = clock.monotonic();
    const fourth = new AbortController();
    void run('fourth', fourth.signal);
    await clock.advance(14_000);
    expect(ledAt['fourth']).toBeUndefined();
    await clock.advance(6000);
    expect(ledAt['fourth']! - diedAt).toBeGreaterThan(13_000);
    fourth.abort();
    second.abort();
    await clock.advance(20_000);
    void ended;
  });

  test('what the leader rejects with ends the election, and the lease is given back', async () => {
    const clock = createFakeClock();
    const server = leaseServer(clock, steady);
    const options = { kube: server.kube, place, identity: 'p', clock, random: () => 0, log };
    const failed = runWhileLeader(options, new AbortController().signal, async () => {
      await clock.sleep(5000);
      throw new Error('broken');
    });
    const seen = expect(failed).rejects.toThrow('broken');
    await clock.advance(10_000);
    await seen;
    expect(server.present()?.spec?.holderIdentity).toBe('');
  });
});
