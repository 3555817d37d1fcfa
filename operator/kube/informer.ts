/** A kind of object, kept in memory as it is in the cluster: one list, then changes (Kubernetes API concepts: efficient detection of changes). */
import { createBackoff } from '#core/platform/backoff.ts';
import type { Clock } from '#core/platform/clock.ts';
import type { Log } from '#core/platform/log.ts';
import type { Kube, KubeObject, ResourceType, Selection, WatchEvent } from './contract.ts';
import { isKubeError } from './kube-error.ts';
import { createObjectCache, type IndexBy, type ObjectCache, type WritableCache } from './object-cache.ts';
import { placeOf } from './place.ts';

export interface InformerOptions<T extends KubeObject> {
  readonly kube: Pick<Kube, 'list' | 'watch'>;
  readonly type: ResourceType;
  readonly selection: Selection;
  readonly indexes?: IndexBy<T>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** The cluster may lack this kind, or the right to read it: then it has no objects. Default false: it is waited for. */
  readonly optional?: boolean;
  /**
   * Told of each object that came, changed or went (`object` is its last known state), after the cache shows it. Changes in between may be left out.
   */
  readonly onChange: (object: T, previous: T | null) => void;
}

export interface Informer<T extends KubeObject> {
  readonly cache: ObjectCache<T>;
  /** Resolves when the first list is in the cache. */
  readonly synced: Promise<void>;
  /**
   * Lists and watches until the signal aborts; never rejects. Goes on after the last known version when a watch ends, and lists again when the server no
   * longer knows the changes since (410).
   */
  run(signal: AbortSignal): Promise<void>;
}

const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 30_000;
/** A kind that the server does not have (Gateway API, Prometheus operator) may be installed later. */
const MISSING_WAIT_MS = 60_000;

export function createInformer<T extends KubeObject>(options: InformerOptions<T>): Informer<T> {
  const { kube, type, selection, clock, random, log, onChange, optional = false } = options;
  const cache = createObjectCache<T>(options.indexes);
  const changes = createChanges(cache, onChange);
  const { promise: synced, resolve: setSynced } = Promise.withResolvers<void>();
  const backoff = createBackoff({ clock, random, initialMs: FIRST_WAIT_MS, maxMs: LONGEST_WAIT_MS });

  const relist = async (): Promise<string> => {
    const { items, resourceVersion } = await kube.list(type, selection);
    changes.replaceAll(items as readonly T[]);
    setSynced();
    return resourceVersion;
  };

  /** One watch to its end; calls `reached` with each version, so that the next one begins there. */
  const follow = async (from: string, signal: AbortSignal, reached: (version: string) => void): Promise<void> => {
    for await (const event of kube.watch(type, { ...selection, resourceVersion: from, signal })) {
      changes.apply(event);
      const version = event.object.metadata.resourceVersion;
      if (version !== undefined) reached(version);
      backoff.reset();
    }
  };

  const waitAfter = async (error: unknown, signal: AbortSignal): Promise<void> => {
    if (optional && (isKubeError(error, 'NotFound') || isKubeError(error, 'Forbidden'))) {
      changes.replaceAll([]);
      setSynced();
      await clock.sleep(MISSING_WAIT_MS * (1 + random() / 2), signal);
      return;
    }
    const waitMs = backoff.next();
    log.warn({ error, kind: type.kind, waitMs: Math.round(waitMs) }, 'Objects cannot be watched; trying again');
    await clock.sleep(Math.max(waitMs, isKubeError(error) ? (error.retryAfterMs ?? 0) : 0), signal);
  };

  return {
    cache,
    synced,
    async run(signal) {
      let version: string | null = null;
      while (!signal.aborted) {
        try {
          version ??= await relist();
          const before: string = version;
          const startedAt = clock.monotonic();
          await follow(before, signal, (reached) => (version = reached));
          // A server that ends watches at once must not be asked in a tight loop.
          if (clock.monotonic() - startedAt < 1000) await clock.sleep(backoff.next(), signal);
        } catch (error) {
          if (signal.aborted) return;
          const expired = isKubeError(error, 'Expired');
          if (expired || isKubeError(error, 'NotFound')) version = null;
          const waiting = expired ? clock.sleep(backoff.next(), signal) : waitAfter(error, signal);
          if (await aborts(waiting)) return;
        }
      }
    },
  };
}

/** Takes what the server tells into the cache, and passes on what changes by that. */
function createChanges<T extends KubeObject>(cache: WritableCache<T>, onChange: InformerOptions<T>['onChange']) {
  const take = (object: T): void => {
    const previous = cache.get(placeOf(object)) ?? null;
    if (isSame(previous, object) || !cache.put(object)) return;
    onChange(object, previous);
  };
  return {
    /** These are all that there are. */
    replaceAll(objects: readonly T[]): void {
      for (const gone of cache.retain(objects)) onChange(gone, gone);
      for (const object of objects) take(object);
    },
    apply({ type, object }: WatchEvent): void {
      if (type === 'BOOKMARK') return;
      if (type !== 'DELETED') return take(object as T);
      const previous = cache.remove(object as T);
      if (previous !== undefined) onChange(object as T, previous);
    },
  };
}

/** A wait ends early only because everything ends. */
async function aborts(waiting: Promise<void>): Promise<boolean> {
  return waiting.then(
    () => false,
    () => true,
  );
}

function isSame(previous: KubeObject | null, object: KubeObject): boolean {
  const version = object.metadata.resourceVersion;
  return version !== undefined && previous?.metadata.resourceVersion === version;
}
