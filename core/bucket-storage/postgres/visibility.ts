/**
 * Which commits may become visible (G1, G7). With one source every commit does at once. With several, ops of one stream may lie
 * between those of an unfinished transaction of another: no checkpoint may stand inside that range, so commits wait and then become
 * visible together.
 */

/** A committed change that is not visible yet: ops `firstOp … op` belong together. */
export interface ClosedCommit {
  readonly firstOp: number;
  readonly op: number;
}

/**
 * The greatest op of `closed` that may become the checkpoint; null when none may.
 *
 * @param openFrom lowest op of any served stream that is not to be seen yet; null when there is none
 */
export function publishableOp(closed: readonly ClosedCommit[], openFrom: number | null): number | null {
  let candidate: number | null = null;
  for (const { op } of closed) {
    if (openFrom !== null && op >= openFrom) continue;
    if (candidate !== null && op <= candidate) continue;
    if (!closed.some((other) => other.firstOp <= op && op < other.op)) candidate = op;
  }
  return candidate;
}
