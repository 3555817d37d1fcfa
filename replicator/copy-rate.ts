/** How fast rows are copied, and when the rest will be there. */

const SLOT_MS = 5000;
const SLOTS = 12;
/** A rate of less time says little. */
const LEAST_MS = 3000;

export interface CopyRate {
  copied(rows: number): void;
  /** Seconds until `rows` more are copied, by the rate of the last minute; null: not known. */
  secondsFor(rows: number): number | null;
}

export function createCopyRate(now: () => number): CopyRate {
  let slots: { readonly fromMs: number; rows: number }[] = [];
  let first: number | null = null;
  return {
    copied(rows) {
      const at = now();
      first ??= at;
      const current = slots.at(-1);
      if (current && at - current.fromMs < SLOT_MS) current.rows += rows;
      else slots.push({ fromMs: at, rows });
      slots = slots.filter(({ fromMs }) => at - fromMs < SLOT_MS * SLOTS);
    },
    secondsFor(rows) {
      const at = now();
      if (first === null || at - first < LEAST_MS) return null;
      const recent = slots.filter(({ fromMs }) => at - fromMs < SLOT_MS * SLOTS);
      const done = recent.reduce((sum, slot) => sum + slot.rows, 0);
      if (done === 0) return null;
      const seconds = Math.max(1, at - Math.max(first, at - SLOT_MS * SLOTS)) / 1000;
      return Math.ceil((Math.max(0, rows) / done) * seconds);
    },
  };
}
