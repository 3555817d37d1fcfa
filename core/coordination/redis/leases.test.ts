import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Clock, createFakeClock, type FakeClock } from '#core/platform/clock.ts';
import type { HeldLease } from '../contract.ts';
import type { LeaseStore } from './lease-store.ts';
import { createRedisLeases, type RedisLeases } from './leases.ts';

const TTL_MS = 3000;
const KEY = 'source';

/** Redis as seen by leases: one key, in virtual time. */
interface Server {
  value: string | null;
  expiresAt: number;
  /** How a released lease is told to each process. */
  readonly told: Set<() => void>;
  flush(): void;
}

/** What the network does to the commands of one process. */
type Network = 'good' | 'refuses' | 'loses requests' | 'loses answers';

interface Process {
  readonly leases: RedisLeases;
  network: Network;
  lease: HeldLease | null;
  /** It believes it may work: it runs, and nothing told it to stop. */
  works(): boolean;
  pause(): void;
  resume(): void;
}

function createServer(): Server {
  const server: Server = { value: null, expiresAt: 0, told: new Set(), flush: () => void (server.value = null) };
  return server;
}

/** A clock that stands for the event loop of a process: while it is paused, nothing fires. */
function pausableClock(base: FakeClock): {
  clock: Clock;
  pause(): void;
  resume(): void;
  run(callback: () => void): void;
} {
  let deferred: (() => void)[] | null = null;
  const run = (callback: () => void): void => {
    if (deferred === null) callback();
    else deferred.push(callback);
  };
  const setTimer: Clock['setTimer'] = (ms, callback) => {
    let cancelled = false;
    const timer = base.setTimer(ms, () => run(() => (cancelled ? undefined : callback())));
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  };
  const sleep: Clock['sleep'] = (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const timer = setTimer(ms, resolve);
      signal?.addEventListener('abort', () => {
        timer.cancel();
        reject(signal.reason as Error);
      });
    });
  return {
    clock: { now: base.now, monotonic: base.monotonic, setTimer, sleep },
    run,
    pause: () => void (deferred ??= []),
    resume: () => {
      const due = deferred ?? [];
      deferred = null;
      for (const callback of due) run(callback);
    },
  };
}

function createProcess(base: FakeClock, server: Server, latencyMs: () => number): Process {
  const loop = pausableClock(base);
  let paused = false;
  let arrival = 0;
  let released: ((body: Buffer) => void) | undefined;

  /** A command: half the latency there, half back; answers reach a paused process when it goes on. */
  const command = <T>(step: () => T): Promise<T> =>
    new Promise((resolve, reject) => {
      const network = process.network;
      const half = latencyMs() / 2;
      const fail = (afterMs: number) => void base.setTimer(afterMs, () => loop.run(() => reject(new Error(network))));
      if (network === 'refuses') return fail(1);
      if (network === 'loses requests') return fail(900);
      // One connection: what was sent first arrives first.
      arrival = Math.max(arrival, base.monotonic() + half);
      base.setTimer(arrival - base.monotonic(), () => {
        const answer = step();
        if (network === 'loses answers') return fail(900);
        base.setTimer(half, () => loop.run(() => resolve(answer)));
      });
    });

  const live = (): string | null => (base.monotonic() < server.expiresAt ? server.value : null);
  const store: LeaseStore = {
    claim: (_name, value, ttlMs) =>
      command(() => {
        const current = live();
        if (current !== null && current !== value)
          return { ours: false, freeInMs: server.expiresAt - base.monotonic() };
        server.value = value;
        server.expiresAt = base.monotonic() + ttlMs;
        return { ours: true };
      }),
    release: (_name, value) =>
      command(() => {
        if (live() !== value) return;
        server.value = null;
        for (const tell of server.told) tell();
      }),
    remaining: () => command(() => (live() === null ? null : server.expiresAt - base.monotonic())),
    read: () => command(live),
  };
  server.told.add(() => {
    if (process.network === 'good') base.setTimer(latencyMs(), () => loop.run(() => released?.(Buffer.from(KEY))));
  });

  const leases = createRedisLeases(
    {
      store,
      commands: { isReady: () => true, whenReady: async () => true },
      subscriptions: {
        listen: (_channel, message, established) => {
          released = message;
          established();
          return () => {};
        },
      },
      releasedChannel: 'released',
    },
    { clock: loop.clock, random: () => 0.5, log: { info: () => {}, warn: () => {} } },
  );
  const process: Process = {
    leases,
    network: 'good',
    lease: null,
    works: () => !paused && process.lease !== null && !process.lease.lost.aborted,
    pause: () => {
      paused = true;
      loop.pause();
    },
    resume: () => {
      paused = false;
      loop.resume();
    },
  };
  return process;
}

/** Wants the lease all the time, and again after each loss. */
function contend(process: Process, index: number): void {
  process.lease = null;
  const options = { name: KEY, owner: `process ${index}`, ttlMs: TTL_MS };
  process.leases.acquire(options, new AbortController().signal).then(
    (lease) => {
      process.lease = lease;
      lease.lost.addEventListener('abort', () => contend(process, index));
      if (lease.lost.aborted) contend(process, index);
    },
    () => {},
  );
}

type Event =
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'pause' | 'resume' | 'release'; readonly who: number }
  | { readonly kind: 'network'; readonly who: number; readonly network: Network }
  | { readonly kind: 'flush' };

const PROCESSES = 3;
const who = fc.nat(PROCESSES - 1);
const passing: fc.Arbitrary<Event> = fc.record({
  kind: fc.constant('pass' as const),
  ms: fc.integer({ min: 1, max: 3000 }),
});
const disturbance: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constantFrom('pause' as const, 'resume' as const, 'release' as const), who }),
  fc.record({
    kind: fc.constant('network' as const),
    who,
    network: fc.constantFrom<Network>('good', 'good', 'refuses', 'loses requests', 'loses answers'),
  }),
);
const flush = fc.constant<Event>({ kind: 'flush' });
/** Each disturbance is followed by some time. */
const story = (...kinds: fc.Arbitrary<Event>[]): fc.Arbitrary<Event[]> =>
  fc.array(fc.tuple(fc.oneof(...kinds), passing), { size: 'max', maxLength: 25 }).map((pairs) => pairs.flat());

async function run(
  events: readonly Event[],
  latencies: readonly number[],
  check: (working: number) => void,
): Promise<void> {
  const clock = createFakeClock();
  const server = createServer();
  let drawn = 0;
  const latencyMs = (): number => latencies[drawn++ % latencies.length]!;
  const processes = Array.from({ length: PROCESSES }, () => createProcess(clock, server, latencyMs));
  processes.forEach(contend);
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 50) {
      await clock.advance(Math.min(left, 50));
      check(processes.filter((process) => process.works()).length);
    }
  };
  const happen = async (event: Event): Promise<void> => {
    if (event.kind === 'pass') return pass(event.ms);
    if (event.kind === 'flush') return server.flush();
    const process = processes[event.who]!;
    if (event.kind === 'network') process.network = event.network;
    else if (event.kind === 'release' && process.works()) {
      void process.lease!.release();
      contend(process, event.who);
    } else if (event.kind === 'pause') process.pause();
    else if (event.kind === 'resume') process.resume();
    await pass(1);
  };
  for (const event of events) await happen(event);

  for (const process of processes) {
    process.network = 'good';
    process.resume();
  }
  await clock.advance(3 * TTL_MS);
  expect(processes.filter((process) => process.works())).toHaveLength(1);
  const closedAt = clock.monotonic();
  const closed = Promise.all(processes.map(({ leases }) => leases.close()));
  await clock.advance(TTL_MS);
  await closed;
  expect(server.value !== null && server.expiresAt > closedAt + TTL_MS / 2).toBe(false);
  expect(clock.waiting).toBe(0);
}

const latencies = fc.array(fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 1200 })), {
  minLength: 1,
  maxLength: 5,
});

describe('leases in virtual time', () => {
  test('never two who work, whatever stands still or gets lost; one in the end', async () => {
    await fc.assert(
      fc.asyncProperty(story(disturbance), latencies, (events, delays) =>
        run(events, delays, (working) => expect(working).toBeLessThanOrEqual(1)),
      ),
      { numRuns: 150 },
    );
  });

  test('also when the data of Redis vanish, there is one in the end, and nothing is left', async () => {
    await fc.assert(
      fc.asyncProperty(story(disturbance, flush), latencies, (events, delays) => run(events, delays, () => {})),
      { numRuns: 150 },
    );
  });

  test('a waiter that leaves while its claim is on the way does not keep the lease', async () => {
    const clock = createFakeClock();
    const server = createServer();
    const process = createProcess(clock, server, () => 100);
    const leave = new AbortController();
    const left = expect(process.leases.acquire({ name: KEY, owner: 'a', ttlMs: TTL_MS }, leave.signal)).rejects.toBe(
      'gone',
    );
    await clock.advance(60);
    expect(server.value).toMatch(/ a$/);
    leave.abort('gone');
    await clock.advance(200);
    await left;
    expect(server.value).toBe(null);
  });

  test('a flush alone never changes the holder, whenever it comes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 7000 }), { minLength: 1, maxLength: 6 }),
        async (flushAfter) => {
          const clock = createFakeClock();
          const server = createServer();
          const processes = Array.from({ length: PROCESSES }, () => createProcess(clock, server, () => 2));
          contend(processes[0]!, 0);
          await clock.advance(10);
          contend(processes[1]!, 1);
          contend(processes[2]!, 2);
          await clock.advance(10);
          for (const ms of flushAfter) {
            server.flush();
            await clock.advance(ms);
            expect(processes.map((process) => process.works())).toEqual([true, false, false]);
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});
