import type { Timer } from '#core/platform/clock.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { within } from '#core/platform/within.ts';
import type { HeldLease } from '../contract.ts';
import type { CoordinationEnvironment } from '../environment.ts';
import type { LeaseStore } from './lease-store.ts';

export interface HoldOptions {
  readonly name: string;
  readonly value: string;
  readonly ttlMs: number;
  /** Monotonic time just before the claim that succeeded was sent. */
  readonly claimedAt: number;
  /** Called once, when it is neither held nor being given back any more. */
  readonly ended: () => void;
}

export interface RedisHeldLease extends HeldLease {
  /** Gives it back and aborts `lost` with `reason`: whoever still works under it must stop. */
  revoke(reason: Error): Promise<void>;
}

/** See SPEC.md for the table of states and events. */
type State =
  | { readonly kind: 'held'; readonly validUntil: number }
  | { readonly kind: 'lost' }
  | { readonly kind: 'released' };

/** The holder stops this part of the ttl before Redis lets go: clocks run at different speeds, and stopping takes time. */
const MARGIN = 1 / 10;
const RENEW_EVERY = 1 / 3;
const RETRY_EVERY = 1 / 12;
/** Giving back is a courtesy to the successor, who otherwise waits for expiry. */
const RELEASE_LIMIT_MS = 1000;

/** Keeps a claimed lease renewed until it is released or lost. */
export function holdLease(
  store: LeaseStore,
  { log, clock }: CoordinationEnvironment,
  { name, value, ttlMs, claimedAt, ended }: HoldOptions,
): RedisHeldLease {
  const lost = new AbortController();
  const validFrom = (sentAt: number): number => sentAt + ttlMs * (1 - MARGIN);
  let state: State = { kind: 'held', validUntil: validFrom(claimedAt) };
  let renewal: Timer;
  let deadline: Timer;
  let releasing: Promise<void> | undefined;

  function leave(next: State): void {
    state = next;
    renewal.cancel();
    deadline.cancel();
  }

  function lose(why: string): void {
    leave({ kind: 'lost' });
    log.warn({ error_code: 'PSYNC_S2503', lease: name, reason: why }, 'A lease was lost');
    lost.abort(codedError('PSYNC_S2503', `The lease "${name}" was lost: ${why}. Another process continues.`));
    void giveBack();
  }

  /** Also after a loss: our value may still be there, and then nobody need wait for it to expire. */
  async function giveBack(): Promise<void> {
    await within(clock, RELEASE_LIMIT_MS, store.release(name, value));
    ended();
  }

  function scheduleRenewal(at: number): void {
    renewal = clock.setTimer(at - clock.monotonic(), () => void renew());
  }

  async function renew(): Promise<void> {
    const sentAt = clock.monotonic();
    // After a pause of the process both timers are due; the deadline must win.
    if (state.kind !== 'held' || sentAt >= state.validUntil) return expire();
    let claim;
    try {
      claim = await store.claim(name, value, ttlMs);
    } catch {
      if (state.kind === 'held') scheduleRenewal(clock.monotonic() + ttlMs * RETRY_EVERY);
      return;
    }
    if (state.kind !== 'held') return;
    if (clock.monotonic() >= state.validUntil) return expire();
    if (!claim.ours) return lose('another process holds it');
    state = { kind: 'held', validUntil: validFrom(sentAt) };
    scheduleRenewal(sentAt + ttlMs * RENEW_EVERY);
  }

  function expire(): void {
    if (state.kind !== 'held') return;
    const left = state.validUntil - clock.monotonic();
    if (left <= 0) return lose(`it was not renewed within ${ttlMs} ms`);
    deadline = clock.setTimer(left, expire);
  }

  async function release(): Promise<void> {
    if (state.kind !== 'held') return;
    leave({ kind: 'released' });
    await giveBack();
  }

  deadline = clock.setTimer(validFrom(claimedAt) - clock.monotonic(), expire);
  scheduleRenewal(claimedAt + ttlMs * RENEW_EVERY);
  return {
    lost: lost.signal,
    release: () => (releasing ??= release()),
    revoke: (reason) => {
      if (state.kind === 'held') lost.abort(reason);
      return (releasing ??= release());
    },
  };
}
