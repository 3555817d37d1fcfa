/** One look at one instance: gather -> decide -> apply. It never matters why the look was taken, nor what the one before has done. */
import type { CompileSyncConfig } from '#core/sync-config/contract.ts';
import type { Place } from '../kube/contract.ts';
import { keyOf } from '../kube/place.ts';
import type { Applier } from './apply.ts';
import { decide } from './decide.ts';
import type { Decision } from './decision.ts';
import { gather, type GatherOptions } from './gather.ts';
import { NO_MEMORY, type Memory, type Observed } from './observed.ts';

export interface ReconcilerOptions {
  readonly gathering: GatherOptions;
  readonly compile: CompileSyncConfig;
  readonly applier: Applier;
  /** Told of each look, before anything is done. */
  readonly onLook: (observed: Observed, decision: Decision) => void;
  /** The instance is gone. */
  readonly onGone: (place: Place) => void;
}

export interface Reconciler {
  /** Resolves with when to look again, in milliseconds; null: not by itself. Rejects when a step failed: look again after a wait. */
  reconcile(place: Place): Promise<number | null>;
}

/** What one look has found out for the next one (a taken name, a kind that is not served, a refused sync config) is shown at once. */
const SOON_MS = 200;

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { gathering, compile, applier, onLook, onGone } = options;
  const memories = new Map<string, Memory>();
  const uids = new Map<string, string>();

  const forget = (key: string): void => {
    const uid = uids.get(key);
    uids.delete(key);
    if (uid === undefined) return;
    memories.delete(uid);
    applier.forget(uid);
  };

  return {
    async reconcile(place) {
      const key = keyOf(place);
      const instance = gathering.view.instance(place);
      if (instance?.metadata.uid !== uids.get(key)) forget(key);
      if (instance === undefined) {
        onGone(place);
        return null;
      }
      const { uid } = instance.metadata;
      uids.set(key, uid);
      const before = memories.get(uid) ?? NO_MEMORY;
      const observed = await gather(gathering, instance, before);
      const decision = decide(observed, compile);
      onLook(observed, decision);
      // Kept also when a later step fails: delays go on.
      memories.set(uid, decision.memory);
      const memory = await applier.carryOut(observed, decision);
      memories.set(uid, memory);
      const hasNews =
        JSON.stringify([memory.taken, memory.unserved]) !== JSON.stringify([before.taken, before.unserved]) ||
        memory.deployed !== before.deployed ||
        memory.deployFailure !== before.deployFailure;
      return hasNews ? SOON_MS : decision.againAfterMs;
    },
  };
}
