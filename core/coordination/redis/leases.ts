import { randomUUID } from 'node:crypto';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { HeldLease, LeaseOptions } from '../contract.ts';
import type { CoordinationEnvironment } from '../environment.ts';
import { within } from '../within.ts';
import type { Connection } from './connection.ts';
import { holdLease, type RedisHeldLease } from './held-lease.ts';
import type { LeaseStore } from './lease-store.ts';
import type { Subscriptions } from './subscriptions.ts';

export interface RedisLeases {
  acquire(options: LeaseOptions, signal: AbortSignal): Promise<HeldLease>;
  /** Null also when Redis does not answer. */
  holder(name: string): Promise<string | null>;
  /** Gives everything back; waiters are rejected with PSYNC_S2501. */
  close(): Promise<void>;
}

export interface LeaseConnections {
  readonly store: LeaseStore;
  readonly commands: Pick<Connection, 'isReady' | 'whenReady'>;
  readonly subscriptions: Pick<Subscriptions, 'listen'>;
  readonly releasedChannel: string;
}

/** How long the first claim waits for Redis to be there, and for news of releases to be heard. */
const PATIENCE_MS = 1000;
/** Waiters of one lease come back within this after it expired, not all at once. */
const EXPIRY_JITTER_MS = 40;
/** Without an answer, the next claim. Not sooner than the connection can be back. */
const UNAVAILABLE_RETRY_MS = 100;
/** A waiter looks at the holder's remaining time each such part of the ttl. */
const LOOK_EVERY = 1 / 4;
/** A waiter claims at least this often, whatever the ttl: news of a release can get lost. */
const LONGEST_WAIT_MS = 5000;

export function createRedisLeases(connections: LeaseConnections, environment: CoordinationEnvironment): RedisLeases {
  const { store, commands, subscriptions, releasedChannel } = connections;
  const { clock, random } = environment;
  const closed = new AbortController();
  const held = new Set<RedisHeldLease>();
  /** By lease name: wakes whoever waits. */
  const waiters = new Map<string, Set<() => void>>();
  let hearing: Promise<void> | undefined;

  /** Resolves once releases are heard. The subscription stays until the end. */
  function hearReleases(): Promise<void> {
    return (hearing ??= new Promise((resolve) => {
      const released = (body: Buffer): void => {
        for (const wake of waiters.get(body.toString()) ?? []) wake();
      };
      // Not a reason to wake anybody when it is established again: see `claimUntilOurs`.
      subscriptions.listen(releasedChannel, released, resolve);
    }));
  }

  async function acquire(options: LeaseOptions, signal: AbortSignal): Promise<HeldLease> {
    const { name, owner, ttlMs } = options;
    const end = AbortSignal.any([signal, closed.signal]);
    end.throwIfAborted();
    const value = `${randomUUID()} ${owner}`;
    const bell = createBell();
    const sameName = waiters.get(name) ?? new Set();
    waiters.set(name, sameName.add(bell.ring));
    try {
      await within(clock, PATIENCE_MS, Promise.race([hearReleases(), aborted(end)]));
      const claimedAt = await claimUntilOurs(options, value, bell, end);
      const lease = holdLease(store, environment, { name, value, ttlMs, claimedAt, ended: () => held.delete(lease) });
      held.add(lease);
      return lease;
    } catch (error) {
      // The claim whose answer nobody waited for may have succeeded.
      if (commands.isReady()) store.release(name, value).catch(() => {});
      throw error;
    } finally {
      sameName.delete(bell.ring);
      if (sameName.size === 0) waiters.delete(name);
    }
  }

  /**
   * Returns the monotonic time before the claim that succeeded.
   *
   * A waiter that has seen a holder claims again only when that holder's time is over, or when it hears of the release.
   * So a holder whose key was flushed, or whose Redis was restarted, gets it back: its renewal comes sooner.
   */
  async function claimUntilOurs(options: LeaseOptions, value: string, bell: Bell, end: AbortSignal): Promise<number> {
    let notBefore = 0;
    for (;;) {
      end.throwIfAborted();
      bell.reset();
      const sentAt = clock.monotonic();
      try {
        const claim = await store.claim(options.name, value, options.ttlMs);
        end.throwIfAborted();
        if (claim.ours) return sentAt;
        notBefore = over(claim.freeInMs);
      } catch {
        end.throwIfAborted();
        await clock.sleep(UNAVAILABLE_RETRY_MS * (0.5 + random() / 2), end);
      }
      await watch(options, notBefore, bell, end);
    }
  }

  const over = (freeInMs: number): number =>
    clock.monotonic() + Math.min(freeInMs + 1 + random() * EXPIRY_JITTER_MS, LONGEST_WAIT_MS);

  /**
   * Waits for the end of the holder's time, or the bell. Looks as often as a holder renews, so that it always knows of the
   * newest renewal; that the key is gone before its time is the holder's matter.
   */
  async function watch(options: LeaseOptions, notBefore: number, bell: Bell, end: AbortSignal): Promise<void> {
    let until = notBefore;
    for (;;) {
      const left = until - clock.monotonic();
      if (left <= 0 || (await bell.wait(Math.min(left, options.ttlMs * LOOK_EVERY), end))) return;
      if (clock.monotonic() >= until) return;
      const remaining = await store.remaining(options.name).catch(() => null);
      if (remaining !== null) until = over(remaining);
    }
  }

  interface Bell {
    ring(): void;
    reset(): void;
    /** True when it rang since the reset or rings now, false after `ms`; rejects when `end` aborts. */
    wait(ms: number, end: AbortSignal): Promise<boolean>;
  }

  function createBell(): Bell {
    let rung = new AbortController();
    return {
      ring: () => rung.abort(),
      reset: () => {
        if (rung.signal.aborted) rung = new AbortController();
      },
      wait: async (ms, end) => {
        await clock.sleep(ms, AbortSignal.any([rung.signal, end])).catch(() => end.throwIfAborted());
        return rung.signal.aborted;
      },
    };
  }

  return {
    acquire,
    holder: async (name) => {
      if (!(await commands.whenReady(PATIENCE_MS))) return null;
      const value = await store.read(name).catch(() => null);
      return value === null ? null : value.slice(value.indexOf(' ') + 1);
    },
    close: async () => {
      const reason = codedError('PSYNC_S2501', 'Coordination was closed: its leases are given back.');
      closed.abort(reason);
      await Promise.all([...held].map((lease) => lease.revoke(reason)));
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
