/**
 * A set of rows that forgets their names: 128 bits of a hash each, 16 bytes, so that millions fit. Two rows of equal hash would make one of
 * them look replaced; with SHA-256 cut to 128 bits nobody can bring that about.
 */
import { hash } from 'node:crypto';

export interface RowSet {
  readonly size: number;
  /** False when it was there. */
  add(row: string): boolean;
  clear(): void;
}

const WORDS = 4;
const FIRST_SLOTS = 1024;

export function createRowSet(): RowSet {
  let slots = FIRST_SLOTS;
  let words = new Uint32Array(slots * WORDS);
  let size = 0;

  /** The slot of a hash, or the free one where it belongs. All zeros: free; no hash is taken for that (the first word is made odd). */
  const find = (table: Uint32Array, count: number, a: number, b: number, c: number, d: number): number => {
    for (let slot = b % count; ; slot = slot + 1 === count ? 0 : slot + 1) {
      const at = slot * WORDS;
      if (table[at] === 0) return at;
      if (table[at] === a && table[at + 1] === b && table[at + 2] === c && table[at + 3] === d) return at;
    }
  };

  const grow = (): void => {
    const next = new Uint32Array(slots * 2 * WORDS);
    for (let at = 0; at < words.length; at += WORDS) {
      if (words[at] === 0) continue;
      const to = find(next, slots * 2, words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!);
      next.set(words.subarray(at, at + WORDS), to);
    }
    slots *= 2;
    words = next;
  };

  return {
    get size() {
      return size;
    },
    add(row) {
      if (size * 3 > slots * 2) grow();
      const digest = hash('sha256', row, 'buffer');
      const a = (digest.readUInt32LE(0) | 1) >>> 0;
      const [b, c, d] = [digest.readUInt32LE(4), digest.readUInt32LE(8), digest.readUInt32LE(12)];
      const at = find(words, slots, a, b, c, d);
      if (words[at] !== 0) return false;
      words[at] = a;
      words[at + 1] = b;
      words[at + 2] = c;
      words[at + 3] = d;
      size++;
      return true;
    },
    clear() {
      slots = FIRST_SLOTS;
      words = new Uint32Array(slots * WORDS);
      size = 0;
    },
  };
}
