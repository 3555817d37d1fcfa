/**
 * Leader election by a `coordination.k8s.io/v1` Lease, as client-go does it. Clocks of other machines are not trusted: a lease counts as abandoned
 * when it has not changed for its duration by one's own monotonic clock. One's own lease counts from the moment before it was asked for.
 */
import type { Clock } from '#core/platform/clock.ts';
import type { Log } from '#core/platform/log.ts';
import type { Kube, KubeObject, Place } from './contract.ts';
import { isKubeError } from './kube-error.ts';
import { LEASES } from './resource-types.ts';

export interface LeaseOptions {
  readonly kube: Pick<Kube, 'get' | 'create' | 'replace'>;
  readonly place: Place;
  /** Different for every process, also after a restart in the same pod. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** How long others wait for a holder that is silent. Default 15 s. */
  readonly durationMs?: number;
  /** The holder gives up when it could not renew for so long; less than the duration. Default 10 s. */
  readonly renewDeadlineMs?: number;
  /** Between two tries. Default 2 s. */
  readonly retryMs?: number;
}

interface LeaseSpec {
  readonly holderIdentity?: string | null;
  readonly leaseDurationSeconds?: number | null;
  readonly acquireTime?: string | null;
  readonly renewTime?: string | null;
  readonly leaseTransitions?: number | null;
}
export interface Lease extends KubeObject {
  readonly spec?: LeaseSpec;
}

/**
 * Calls `lead` whenever this process becomes leader, until `signal` aborts; then resolves, after giving the lease back. The signal given to `lead` aborts
 * when the lease is lost or everything ends; the lease is given back only after `lead` has ended, so that two never lead. Rejects with what `lead` rejects.
 */
export async function runWhileLeader(
  options: LeaseOptions,
  signal: AbortSignal,
  lead: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { clock, random, log, identity, retryMs = 2000 } = options;
  const holder = createHolder(options);
  while (!signal.aborted) {
    if (!(await tryQuietly(holder, log))) {
      await clock.sleep(retryMs * (1 + random() / 5), signal).catch(() => undefined);
      continue;
    }
    log.info({ identity }, 'Leading');
    const lost = new AbortController();
    const leading = lead(AbortSignal.any([signal, lost.signal])).finally(() => lost.abort());
    // Looked at below; until then its failure is nobody's.
    leading.catch(() => undefined);
    try {
      await keep(holder, options, AbortSignal.any([signal, lost.signal]));
      if (!signal.aborted && !lost.signal.aborted)
        log.warn({ identity }, 'The lease is lost; another process may lead');
    } finally {
      lost.abort();
      await leading.catch(() => undefined);
      await holder.release();
    }
    await leading;
  }
}

/** Renews until the signal aborts or it was not possible for too long. */
async function keep(holder: Holder, options: LeaseOptions, signal: AbortSignal): Promise<void> {
  const { clock, log, renewDeadlineMs = 10_000, retryMs = 2000 } = options;
  for (;;) {
    const left = holder.heldSince() + renewDeadlineMs - clock.monotonic();
    if (left <= 0 || signal.aborted) return;
    const late = new AbortController();
    const waiting = AbortSignal.any([signal, late.signal]);
    const done = (async () => {
      await clock.sleep(Math.min(retryMs, left), waiting);
      return tryQuietly(holder, log);
    })().catch(() => true);
    // An answer that comes too late is no renewal: whoever waits for it leads beyond its time.
    const deadline = clock.sleep(left, waiting).then(
      () => false,
      () => true,
    );
    const renewed = await Promise.race([done, deadline]);
    late.abort();
    if (!renewed && holder.isTaken()) return;
  }
}

async function tryQuietly(holder: Holder, log: Log): Promise<boolean> {
  try {
    return await holder.tryToHold();
  } catch (error) {
    if (!isKubeError(error, 'Conflict') && !isKubeError(error, 'AlreadyExists'))
      log.warn({ error }, 'The lease cannot be read or written; trying again');
    return false;
  }
}

interface Holder {
  /** Acquires or renews; false when another process holds it. */
  tryToHold(): Promise<boolean>;
  /** Monotonic time of the last renewal, taken before it was sent. */
  heldSince(): number;
  /** Another process was seen to hold it. */
  isTaken(): boolean;
  /** Gives it back if this process has it; failures are left to expiry. */
  release(): Promise<void>;
}

function createHolder({ kube, place, identity, clock, log, durationMs = 15_000 }: LeaseOptions): Holder {
  /** What was seen last, and when on our clock; the record of others counts by the time we have looked at it. */
  let observed: { readonly record: string; readonly at: number } | null = null;
  let taken = false;
  let held: { readonly lease: Lease; readonly since: number } | null = null;

  const observe = (spec: LeaseSpec): number => {
    const record = JSON.stringify(spec);
    if (observed?.record !== record) observed = { record, at: clock.monotonic() };
    return observed.at;
  };

  const write = async (present: Lease | null, since: number): Promise<void> => {
    const now = microTime(clock.now());
    const spec = present?.spec ?? {};
    const renews = spec.holderIdentity === identity;
    const next: Lease = {
      apiVersion: LEASES.apiVersion,
      kind: LEASES.kind,
      metadata: present?.metadata ?? {
        name: place.name,
        ...(place.namespace === null ? {} : { namespace: place.namespace }),
      },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(durationMs / 1000),
        acquireTime: renews ? (spec.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: (spec.leaseTransitions ?? 0) + (renews || present === null ? 0 : 1),
      },
    };
    const lease = present === null ? await kube.create(LEASES, next) : await kube.replace(LEASES, next);
    held = { lease, since };
    taken = false;
    observe(lease.spec ?? {});
  };

  return {
    async tryToHold() {
      const since = clock.monotonic();
      const present = await kube.get<Lease>(LEASES, place);
      const spec = present?.spec ?? {};
      const seenAt = observe(spec);
      const holder = spec.holderIdentity ?? '';
      const lastsMs = (spec.leaseDurationSeconds ?? 0) * 1000;
      if (holder !== '' && holder !== identity && clock.monotonic() - seenAt < lastsMs) {
        taken = true;
        held = null;
        return false;
      }
      await write(present, since);
      return true;
    },
    heldSince: () => held?.since ?? Number.NEGATIVE_INFINITY,
    isTaken: () => taken,
    async release() {
      const mine = held;
      held = null;
      if (mine === null) return;
      try {
        const { lease } = mine;
        const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(clock.now()) };
        await kube.replace(LEASES, { ...lease, spec });
      } catch (error) {
        log.debug({ error }, 'The lease was not given back; it expires');
      }
    },
  };
}

/** RFC 3339 with microseconds, as the API asks for. */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.(\d{3})Z$/, '.$1000Z');
}
