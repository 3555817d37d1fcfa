/**
 * A session against random feeds, random delays of storage and a client that reads when it likes: at each completion the client holds exactly
 * the rows of the checkpoint (G1, G2, G4), and every rule that the client model knows is kept.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createClientModel } from '#test/client/client-model.ts';
import {
  eventually,
  startDirectSession,
  startDirectWorker,
  type DirectSession,
  type DirectSessionOptions,
} from '../testing/direct-session.ts';
import { createFakeStorage } from '../testing/fake-storage.ts';
import { ALL_STREAMS, createRandomFeed, randomCommit, USERS, type RandomCommit } from '../testing/random-feed.ts';

type Step =
  | { readonly kind: 'commit'; readonly commit: RandomCommit; readonly heard: boolean }
  | { readonly kind: 'turns'; readonly turns: number }
  | { readonly kind: 'reconnect'; readonly user: number }
  | { readonly kind: 'read'; readonly user: number };

const user = fc.nat(USERS.length - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .tuple(randomCommit, fc.integer({ min: 0, max: 3 }))
      .map(([commit, heard]): Step => ({ kind: 'commit', commit, heard: heard > 0 })),
  },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 12 }).map((turns): Step => ({ kind: 'turns', turns })) },
  { weight: 1, arbitrary: user.map((index): Step => ({ kind: 'reconnect', user: index })) },
  { weight: 2, arbitrary: user.map((index): Step => ({ kind: 'read', user: index })) },
);
const LAST = 1_000_000n;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Scenario {
  readonly steps: readonly Step[];
  /** Turns of the event loop that reads of storage take, in rotation. */
  readonly delays: readonly number[];
  /** Writes after which a client stops reading, in rotation. */
  readonly patience: readonly number[];
  readonly chunksPerRead: number;
  readonly cacheBytes: number;
}

type Payloads = DirectSessionOptions['payloads'];
/** How the lines of each client travel, in rotation: they share what was read and compressed. */
type Mixture = readonly [Payloads, ...Payloads[]];

async function run({ steps, delays, patience, chunksPerRead, cacheBytes }: Scenario, mixture: Mixture): Promise<void> {
  const storage = createFakeStorage({ operationsPerChunk: 2, chunksPerRead });
  let reads = 0;
  storage.beforeRead = async () => {
    for (let left = delays[reads++ % delays.length]!; left > 0; left--) await turn();
  };
  const feed = createRandomFeed(storage);
  const worker = startDirectWorker({ storage, shared: false, cacheBytes });
  let asked = 0;
  const models = USERS.map((name) => {
    const model = createClientModel(() => {
      const rows = new Map([...model.store.rows()].toSorted());
      const op = Number(model.completedOp);
      expect(rows, `${name} at ${op}`).toEqual(feed.expected(name, op));
      // Never a number whose writes are not in the checkpoint (S-466); one that is may come a checkpoint later.
      const told = model.tracked?.writeCheckpoint ?? null;
      if (told !== null && told !== String(LAST))
        expect(BigInt(told)).toBeLessThanOrEqual(feed.reached(name, op) ?? -1n);
    });
    return model;
  });
  const connect = (index: number): DirectSession => {
    const payloads = mixture[index % mixture.length];
    return startDirectSession(worker, USERS[index]!, {
      model: models[index]!,
      request: { subscriptions: ALL_STREAMS },
      patience: () => patience[asked++ % patience.length]!,
      ...(payloads === undefined ? {} : { payloads }),
    });
  };
  const sessions = USERS.map((_, index) => connect(index));
  try {
    for (const next of steps) {
      if (next.kind === 'commit') {
        const notice = feed.commit(next.commit);
        if (next.heard) worker.announce(notice);
      } else if (next.kind === 'turns') {
        for (let left = next.turns; left > 0; left--) await turn();
      } else if (next.kind === 'read') {
        sessions[next.user]!.read();
      } else {
        sessions[next.user]!.close();
        sessions[next.user] = connect(next.user);
      }
    }
    worker.announce(
      storage.commit({
        writeCheckpoints: USERS.map((name) => ({ userId: name, clientId: `device of ${name}`, checkpoint: LAST })),
      }),
    );
    for (const [index, session] of sessions.entries()) {
      const done = (): boolean => {
        if (session.violation !== null) throw session.violation as Error;
        if (session.outcome.kind !== 'open') throw new Error(`ended: ${String(session.outcome.error)}`);
        session.read();
        return session.model.writeCheckpoint === LAST;
      };
      await eventually(done, `${USERS[index]} has everything`);
    }
  } finally {
    for (const session of sessions) session.close();
    worker.close();
  }
}

const scenario: fc.Arbitrary<Scenario> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 40 }),
  delays: fc.array(fc.constantFrom(0, 0, 1, 3, 9), { minLength: 1, maxLength: 9 }),
  patience: fc.array(fc.constantFrom(1, 1, 2, 5, 100), { minLength: 1, maxLength: 5 }),
  chunksPerRead: fc.constantFrom(1, 2, 100),
  cacheBytes: fc.constantFrom(0, 2000, 6000, 1_000_000),
});

describe('sessions against random feeds', () => {
  // RSocket asks for a number of lines (S-598), HTTP takes what fits.
  test.each<[string, Mixture, number]>([
    ['', [undefined], 150],
    [', as payloads', ['plain'], 100],
    [', as compressed payloads', ['compressed'], 50],
    [', some compressed and some not', ['compressed', undefined, 'compressed', 'plain'], 100],
  ])('clients hold exactly the rows of each checkpoint%s', { timeout: 600_000 }, async (_how, mixture, runs) => {
    await fc.assert(
      fc.asyncProperty(scenario, (one) => run(one, mixture)),
      { numRuns: Number(process.env['RUNS'] ?? runs) },
    );
  });
});
