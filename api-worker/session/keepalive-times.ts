/** When a session says how long its token lasts (S-581…S-583). Times are milliseconds since 1970. */
export interface KeepaliveTimes {
  /** A token near its end is said so early, for the client to fetch a new one in time (S-583). */
  first(now: number): number;
  next(now: number): number;
}

export function keepaliveTimes(expiresAtMs: number, intervalMs: number, random: () => number): KeepaliveTimes {
  const next = (now: number): number => {
    // spread, so that clients that came together do not stay together
    const jitter = 0.95 + random() * 0.1;
    return Math.min(now + intervalMs * jitter, expiresAtMs);
  };
  return { next, first: (now) => Math.min(next(now), now + Math.max((expiresAtMs - now) / 3, 0)) };
}
