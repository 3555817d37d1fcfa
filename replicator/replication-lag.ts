/** How far bucket storage is behind its source, in time (O-185): for `/status` and the metrics, not for decisions. */

/** Sources say at least that they live this often (Postgres: half of wal_sender_timeout; a heartbeat is a commit). */
const SILENCE_MS = 65_000;
/** What was observed last counts for so long, so that a stream that is always a little behind is not shown as level with its source. */
const FRESH_MS = 2000;

export interface ReplicationLag {
  /** The source has told of everything up to `position`; `timeMs` when this is a commit. */
  heard(position: string, timeMs: number | null): void;
  /** Everything up to `position` is stored; `timeMs`: commit time of the newest transaction in it. */
  stored(position: string, timeMs: number | null): void;
  /** Age of the oldest transaction that is not stored yet, by the clocks of source and this process; 0 when there is none. */
  readonly ms: number;
}

export function createReplicationLag(now: () => number): ReplicationLag {
  let heardMs = now();
  let seen: string | null = null;
  /** At most the commit time of the oldest transaction that waits. */
  let waitingSinceMs: number | null = null;
  let last = { atMs: Number.NEGATIVE_INFINITY, lagMs: 0 };
  return {
    heard(position, timeMs) {
      heardMs = now();
      seen = position;
      if (timeMs !== null) waitingSinceMs ??= timeMs;
    },
    stored(position, timeMs) {
      const at = now();
      if (waitingSinceMs !== null && timeMs !== null) last = { atMs: at, lagMs: Math.max(0, at - timeMs) };
      // what still waits came after what is stored now
      waitingSinceMs = seen === position || waitingSinceMs === null ? null : Math.max(waitingSinceMs, timeMs ?? 0);
    },
    get ms() {
      const at = now();
      if (waitingSinceMs !== null) return Math.max(0, at - waitingSinceMs);
      if (at - heardMs > SILENCE_MS) return at - heardMs;
      return at - last.atMs < FRESH_MS ? last.lagMs : 0;
    },
  };
}
