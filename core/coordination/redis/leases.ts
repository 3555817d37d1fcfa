import { randomUUID } from 'node:crypto';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { within } from '#core/platform/within.ts';
import type { HeldLease, LeaseOptions } from '../contract.ts';
import type { CoordinationEnvironment } from '../environment.ts';
import { claimUntilOurs, createBell } from './claim.ts';
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

export function createRedisLeases(connections: LeaseConnections, environment: CoordinationEnvironment): RedisLeases {
  const { store, commands, subscriptions, releasedChannel } = connections;
  const { clock } = environment;
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
    const bell = createBell(clock);
    const sameName = waiters.get(name) ?? new Set();
    waiters.set(name, sameName.add(bell.ring));
    try {
      await within(clock, PATIENCE_MS, Promise.race([hearReleases(), aborted(end)]));
      const claimedAt = await claimUntilOurs(store, environment, { name, ttlMs, value, bell }, end);
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
