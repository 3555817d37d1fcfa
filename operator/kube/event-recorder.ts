/** Kubernetes Events (events.k8s.io/v1): what `kubectl describe` shows. Best effort: nothing depends on them, failures are logged only. */
import type { Clock } from '#core/platform/clock.ts';
import type { Log } from '#core/platform/log.ts';
import type { Kube, KubeObject, Place } from './contract.ts';
import { isKubeError } from './kube-error.ts';
import { microTime } from './lease.ts';
import { placeOf } from './place.ts';
import { EVENTS } from './resource-types.ts';

/** One thing that happened to an object. */
export interface EventNote {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase and stable. */
  readonly reason: string;
  /** What was done or tried, CamelCase. */
  readonly action: string;
  /** For people; no secrets, no row data. Longer than 1024 bytes is cut. */
  readonly note: string;
}

export interface EventRecorder {
  /** Resolves when it was written or given up; never rejects. */
  record(about: KubeObject, note: EventNote): Promise<void>;
}

export interface EventRecorderOptions {
  readonly kube: Pick<Kube, 'create' | 'patch'>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** Name of the pod. */
  readonly instance: string;
}

interface EventObject extends KubeObject {
  readonly [field: string]: unknown;
}

interface Series {
  readonly place: Place;
  readonly count: number;
  readonly lastMs: number;
  readonly writtenMs: number;
}

/** The same within this time is one series. */
const SERIES_MS = 6 * 60_000;
/** A series is brought up to date so often at most. */
const SERIES_WRITE_MS = 60_000;
/** Series that are remembered, and events of one object in a row; one more is allowed again every 10 seconds. */
const MAX_SERIES = 2000;
const BURST = 25;
const REFILL_MS = 10_000;
const LONGEST_NOTE_BYTES = 1024;

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { kube, clock, log } = options;
  const series = new Map<string, Series>();
  const allow = createAllowance(clock);

  const remember = (key: string, value: Series): void => {
    series.delete(key);
    series.set(key, value);
    if (series.size > MAX_SERIES) series.delete(series.keys().next().value!);
  };

  /** Creates the first one, counts the others. */
  const write = async (about: KubeObject, note: EventNote): Promise<void> => {
    const key = JSON.stringify([about.metadata.uid, note]);
    const now = clock.monotonic();
    const present = series.get(key);
    if (present === undefined || now - present.lastMs > SERIES_MS) {
      if (!allow(about.metadata.uid ?? '')) return;
      const place = placeOf(await kube.create(EVENTS, eventOf(options, about, note)));
      remember(key, { place, count: 1, lastMs: now, writtenMs: now });
      return;
    }
    const count = present.count + 1;
    if (now - present.writtenMs < SERIES_WRITE_MS && count > 2) {
      remember(key, { ...present, count, lastMs: now });
      return;
    }
    // Counted also when the write fails: the next one brings it up to date.
    remember(key, { ...present, count, lastMs: now, writtenMs: now });
    const patch = { series: { count, lastObservedTime: microTime(clock.now()) } };
    await kube.patch(EVENTS, present.place, patch);
  };

  return {
    async record(about, note) {
      try {
        await write(about, note);
      } catch (error) {
        // Somebody removed the event, or counted it at the same time; the next one begins a series of its own.
        series.delete(JSON.stringify([about.metadata.uid, note]));
        const quiet = isKubeError(error, 'NotFound') || isKubeError(error, 'Conflict');
        log[quiet ? 'debug' : 'warn']({ error, reason: note.reason }, 'An event could not be written');
      }
    },
  };
}

function eventOf({ clock, random, instance }: EventRecorderOptions, about: KubeObject, note: EventNote): EventObject {
  const { name = '', namespace, uid, resourceVersion } = about.metadata;
  const suffix = Math.floor(random() * 2 ** 48)
    .toString(16)
    .padStart(12, '0');
  return {
    apiVersion: EVENTS.apiVersion,
    kind: EVENTS.kind,
    metadata: { name: `${name}.${suffix}`, namespace: namespace ?? 'default' },
    eventTime: microTime(clock.now()),
    reportingController: 'millrace.dev/operator',
    reportingInstance: instance.slice(0, 128),
    action: note.action,
    reason: note.reason,
    type: note.type,
    note: cut(note.note),
    regarding: { apiVersion: about.apiVersion, kind: about.kind, name, namespace, uid, resourceVersion },
  };
}

/** At most 1024 bytes, never half a character. */
function cut(text: string): string {
  if (Buffer.byteLength(text) <= LONGEST_NOTE_BYTES) return text;
  return `${Buffer.from(text)
    .subarray(0, LONGEST_NOTE_BYTES - 6)
    .toString('utf8')
    .replace(/�+$/, '')}…`;
}

/** A bucket of tokens per object, so that one that changes all the time does not fill etcd. */
function createAllowance(clock: Clock): (uid: string) => boolean {
  const buckets = new Map<string, { readonly tokens: number; readonly at: number }>();
  return (uid) => {
    const now = clock.monotonic();
    const { tokens, at } = buckets.get(uid) ?? { tokens: BURST, at: now };
    const present = Math.min(BURST, tokens + (now - at) / REFILL_MS);
    const allowed = present >= 1;
    buckets.delete(uid);
    buckets.set(uid, { tokens: allowed ? present - 1 : present, at: now });
    if (buckets.size > MAX_SERIES) buckets.delete(buckets.keys().next().value!);
    return allowed;
  };
}
