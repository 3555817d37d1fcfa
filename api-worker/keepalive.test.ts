/** `token_expires_in` lines and the end of a token (S-581 … S-584, O-90, wire/12), on a clock that the test moves. */
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '#core/platform/clock.ts';
import { startDirectSession, startDirectWorker, eventually, type DirectSession } from './testing/direct-session.ts';
import { createFakeStorage, type FakeStorage } from './testing/fake-storage.ts';
import { DEFINITIONS, GLOBAL, PLAN, startHarness } from './testing/harness.ts';

interface Fixture {
  readonly clock: FakeClock;
  readonly storage: FakeStorage;
  readonly worker: ReturnType<typeof startDirectWorker>;
}
const close: (() => void)[] = [];
afterEach(() => close.splice(0).forEach((each) => each()));

function start(random: () => number = () => 0.5): Fixture {
  const clock = createFakeClock();
  const storage = createFakeStorage();
  storage.deploy(1, DEFINITIONS, PLAN);
  storage.commit({ version: 1 });
  const worker = startDirectWorker({ storage, clock, random });
  close.push(() => worker.close());
  return { clock, storage, worker };
}

interface Told {
  /** Milliseconds since the session started. */
  readonly at: number;
  readonly seconds: number;
}

/** A session whose token ends in `lifetimeMs`; notes when it is told of that. */
async function session({ clock, worker }: Fixture, lifetimeMs: number) {
  const startedAt = clock.now();
  const direct = startDirectSession(worker, 'u1', { request: { expiresAtMs: startedAt + lifetimeMs } });
  await eventually(() => direct.model.completedOp !== null || direct.outcome.kind !== 'open', 'the first checkpoint');
  const told: Told[] = [];
  let seen = 0;
  const note = (): void => {
    for (; seen < direct.lines.length; seen++) {
      const seconds = direct.lines[seen]!['token_expires_in'];
      if (seconds !== undefined) told.push({ at: clock.now() - startedAt, seconds: seconds as number });
    }
  };
  return {
    direct,
    told,
    async advance(ms: number) {
      for (let left = ms; left > 0; left -= 250) {
        await clock.advance(Math.min(left, 250));
        note();
      }
    },
  };
}
const isOpen = ({ outcome }: DirectSession): boolean => outcome.kind === 'open';

describe('keep-alive lines', () => {
  test('come about every 20 seconds while nothing happens (S-582)', async () => {
    const fixture = start();
    const { told, advance, direct } = await session(fixture, 6 * 3_600_000);
    await advance(100_000);
    expect(told.map(({ at }) => Math.round(at / 1000))).toEqual([20, 40, 60, 80, 100]);
    for (const { at, seconds } of told) expect(seconds).toBe(Math.floor(21_600 - at / 1000));
    expect(isOpen(direct)).toBe(true);
  });

  test('jitter spreads them: sessions that start together do not stay together', async () => {
    for (const [random, gap] of [
      [0, 19],
      [0.999, 21],
    ] as const) {
      const { told, advance } = await session(
        start(() => random),
        3_600_000,
      );
      await advance(22_000);
      expect(told.map(({ at }) => Math.round(at / 1000))).toEqual([gap]);
    }
  });

  test('are not left out on a busy stream', async () => {
    const fixture = start();
    const { told, advance, direct } = await session(fixture, 3_600_000);
    for (let second = 0; second < 65; second++) {
      const change = { definition: GLOBAL, key: '[]', op: 'PUT', id: `i${second}` } as const;
      fixture.worker.announce(fixture.storage.commit({ changes: [change] }));
      await advance(1000);
    }
    expect(told).toHaveLength(3);
    expect(direct.violation).toBe(null);
    expect(direct.model.completedOp).toBe(String(fixture.storage.op));
  });

  test('whatever the lifetime: regular, one in the last 30 seconds, 0 as the last line (S-583, S-584)', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 300, max: 200_000 }),
        fc.infiniteStream(fc.nat(999)),
        async (lifetime, dice) => {
          const fixture = start(() => dice.next().value / 1000);
          const { told, advance, direct } = await session(fixture, lifetime);
          await advance(lifetime + 500);
          expect(direct.violation).toBe(null);
          expect([direct.outcome.kind, direct.closeReason]).toEqual(['ended', 'token expired']);
          expect(direct.lines.at(-1)).toEqual({ token_expires_in: 0 });
          const last = told.at(-1)!;
          expect(last.at).toBeGreaterThanOrEqual(lifetime);
          // The client fetches a new token at 30 or less, and drops its credentials at 0: between them it needs time.
          const early = told.find(({ seconds }) => seconds > 0 && seconds <= 30);
          expect(early).toBeDefined();
          expect(lifetime - early!.at).toBeGreaterThanOrEqual(Math.min(8000, lifetime / 2 - 250));
          const times = [0, ...told.map(({ at }) => at)];
          for (const [index, at] of times.slice(1).entries()) expect(at - times[index]!).toBeLessThanOrEqual(21_500);
          for (const { at, seconds } of told.slice(0, -1))
            expect(seconds).toBe(Math.max(1, Math.floor((lifetime - at) / 1000)));
          fixture.worker.close();
        },
      ),
      { numRuns: 40 },
    );
  });

  test('a token that is accepted after its end (O-91) gets its data, 0 and the end', async () => {
    const { direct, told, advance } = await session(start(), -10_000);
    await advance(1000);
    expect(direct.kinds).toEqual(['checkpoint', 'checkpoint_complete', 'token_expires_in']);
    expect(told.map(({ seconds }) => seconds)).toEqual([0]);
    expect(direct.closeReason).toBe('token expired');
  });

  test('a token also ends for a client that reads slowly', async () => {
    const fixture = start();
    fixture.storage.commit({ changes: [{ definition: GLOBAL, key: '[]', op: 'PUT', id: 'a' }] });
    await fixture.worker.feed.refresh();
    const direct = startDirectSession(fixture.worker, 'u1', {
      request: { expiresAtMs: fixture.clock.now() + 30_000 },
      patience: () => 1,
    });
    await eventually(() => direct.kinds.length > 0, 'the first line');
    await fixture.clock.advance(31_000);
    expect(direct.closeReason).toBe('token expired');
    expect(direct.lines.at(-1)).toEqual({ token_expires_in: 0 });
  });
});

test('over HTTP the stream ends in order, the log says why, and nothing waits any more', async () => {
  const clock = createFakeClock();
  const harness = await startHarness({ clock });
  try {
    const waiting = clock.waiting;
    const client = harness.client('u1!30', { acceptEncoding: 'gzip' });
    await client.connect();
    await client.until(() => client.completedOp !== null);
    await clock.advance(31_000);
    await client.ended;
    expect(client.lines.at(-1)).toEqual({ token_expires_in: 0 });
    await clock.advance(0);
    expect(harness.logged.at(-1)).toMatchObject({
      level: 'info',
      message: 'Sync stream complete',
      fields: { close_reason: 'token expired' },
    });
    await harness.atRest();
    expect(clock.waiting).toBe(waiting);
  } finally {
    await harness.close();
  }
  expect(clock.waiting).toBe(0);
});
