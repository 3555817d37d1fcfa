import { codedError } from '#core/platform/errors/coded-error.ts';
import type { HeldLease, LeaseOptions } from '../contract.ts';

/** Leases among the parts of one process: a queue per name. Nothing expires, because holder and waiter die together. */
export interface InProcessLeases {
  acquire(options: LeaseOptions, signal: AbortSignal): Promise<HeldLease>;
  holder(name: string): string | null;
  /** Every held lease is lost, every waiter is rejected with PSYNC_S2501. */
  close(): void;
}

interface Waiter {
  readonly owner: string;
  grant(lease: HeldLease): void;
}

interface Held {
  readonly owner: string;
  readonly lost: AbortController;
  /** First come, first served. */
  readonly waiting: Set<Waiter>;
}

export function createInProcessLeases(): InProcessLeases {
  const held = new Map<string, Held>();
  const closed = new AbortController();

  function hold(name: string, owner: string, waiting: Set<Waiter>): HeldLease {
    const entry: Held = { owner, lost: new AbortController(), waiting };
    held.set(name, entry);
    return {
      lost: entry.lost.signal,
      release: async () => {
        if (held.get(name) !== entry) return;
        held.delete(name);
        const [next] = waiting;
        if (next === undefined) return;
        waiting.delete(next);
        next.grant(hold(name, next.owner, waiting));
      },
    };
  }

  function acquire({ name, owner }: LeaseOptions, signal: AbortSignal): Promise<HeldLease> {
    return new Promise((resolve, reject) => {
      const end = AbortSignal.any([signal, closed.signal]);
      if (end.aborted) return reject(end.reason as Error);
      const current = held.get(name);
      if (current === undefined) return resolve(hold(name, owner, new Set()));

      const onAbort = (): void => {
        current.waiting.delete(waiter);
        reject(end.reason as Error);
      };
      const waiter: Waiter = {
        owner,
        grant: (lease) => {
          end.removeEventListener('abort', onAbort);
          resolve(lease);
        },
      };
      // The set is handed from holder to holder, so it stays the right one to leave.
      current.waiting.add(waiter);
      end.addEventListener('abort', onAbort, { once: true });
    });
  }

  return {
    acquire,
    holder: (name) => held.get(name)?.owner ?? null,
    close: () => {
      closed.abort(codedError('PSYNC_S2501', 'Coordination was closed while a lease was waited for.'));
      for (const [name, { lost }] of held) {
        lost.abort(codedError('PSYNC_S2501', `Coordination was closed while the lease "${name}" was held.`));
      }
      held.clear();
    },
  };
}
