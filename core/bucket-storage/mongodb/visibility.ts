/**
 * Which commits may become visible (G1, G7). Several sources share one op sequence, so ops of one transaction may lie between those of
 * another: no checkpoint may stand inside a transaction, or above ops that are still to come.
 */
import type { ClosedRange, Instance, StreamRecord } from './documents.ts';

/** More commits than this that wait for others are taken together: they become visible at once, and unlisted. */
const CLOSED_LIMIT = 200;

export interface Publication {
  readonly instance: Instance;
  /** Commits that became visible, oldest first. Empty: nothing did. */
  readonly published: readonly ClosedRange[];
  /** The version that became active by it. */
  readonly activated: number | null;
}

/** The instance after as much as possible became visible. Then no commit stays in `recent` (changes.ts moves them). */
export function publish(instance: Instance): Publication {
  const { closed, ready } = instance;
  if (instance.active === null && ready === null) {
    // Nobody is served: there is nothing to announce until a version becomes active.
    return { instance: closed.length === 0 ? instance : { ...instance, closed: [] }, published: [], activated: null };
  }
  const op = publishableOp(closed, openFrom(instance));
  if (op === null || (instance.active === null && op < ready!.op)) return { instance, published: [], activated: null };
  const activated = ready !== null && ready.op <= op ? ready.version : null;
  const published = closed.filter((range) => range.last <= op);
  const rest = closed.filter((range) => range.last > op);
  return {
    instance: { ...instance, visible: op, closed: rest, recent: instance.recent.length === 0 ? instance.recent : [] },
    published,
    activated,
  };
}

/** The greatest end of a range with nothing open at or below it, and no other range around it. */
export function publishableOp(closed: readonly ClosedRange[], open: number): number | null {
  let best: number | null = null;
  for (const { last } of closed) {
    if (last >= open || (best !== null && last <= best)) continue;
    if (!closed.some((other) => other.first <= last && last < other.last)) best = last;
  }
  return best;
}

function openFrom(instance: Instance): number {
  let lowest = Number.POSITIVE_INFINITY;
  for (const stream of Object.values(instance.streams)) {
    if (stream.serving && stream.openFrom !== null) lowest = Math.min(lowest, stream.openFrom);
  }
  return lowest;
}

/** Adds a range that waits for its turn. */
export function close(instance: Instance, range: ClosedRange): Instance {
  const closed = [...instance.closed, range];
  if (closed.length <= CLOSED_LIMIT) return { ...instance, closed };
  const first = Math.min(...closed.map((item) => item.first));
  const last = Math.max(...closed.map((item) => item.last));
  return { ...instance, closed: [{ first, last, listed: false }] };
}

export function withStream(instance: Instance, id: number, change: Partial<StreamRecord>): Instance {
  const stream = instance.streams[id];
  if (stream === undefined) return instance;
  return { ...instance, streams: { ...instance.streams, [id]: { ...stream, ...change } } };
}

export interface InstanceUpdate {
  $set: Record<string, unknown>;
  $unset?: Record<string, true>;
  $push?: Record<string, unknown>;
}

/** The fields that differ, as an update; `streams` and `sources` entry by entry, of `recent` what was added. */
export function changesBetween(before: Instance, after: Instance): InstanceUpdate {
  const set: Record<string, unknown> = { tick: before.tick + 1 };
  const unset: Record<string, true> = {};
  for (const [name, value] of Object.entries(after)) {
    if (name === 'streams' || name === 'sources' || name === 'recent' || name === 'tick') continue;
    if (value !== before[name as keyof Instance]) set[name] = value;
  }
  for (const name of ['streams', 'sources'] as const) {
    const [old, current] = [before[name], after[name]];
    if (old === current) continue;
    for (const [id, value] of Object.entries(current)) if (value !== old[id]) set[`${name}.${id}`] = value;
    for (const id of Object.keys(old)) if (!(id in current)) unset[`${name}.${id}`] = true;
  }
  const update: InstanceUpdate = { $set: set };
  if (Object.keys(unset).length > 0) update.$unset = unset;
  const kept = before.recent.length;
  if (after.recent === before.recent) return update;
  if (after.recent.length > kept && before.recent.every((commit, at) => after.recent[at] === commit)) {
    update.$push = { recent: { $each: after.recent.slice(kept) } };
  } else set['recent'] = after.recent;
  return update;
}
