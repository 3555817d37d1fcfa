/** Lines that one session after the other sends alike, as the buffers of one write, made once. */
import type { EncodedLine } from '#core/protocol/lines.ts';
import { JOIN_BYTES } from './socket-writer.ts';

/** As `SocketWriter.write` takes it. */
export interface Burst {
  readonly buffers: readonly Buffer[];
  readonly bytes: number;
}

/**
 * Answers what `make` does, and the same burst as long as lines and variant are the same: the writer joins it for the first client only. A large
 * burst, which is not joined, and none (null) are made anew.
 */
export function shareBursts<Made extends Burst | null>(
  make: (lines: readonly EncodedLine[], variant: number) => Made,
): (lines: readonly EncodedLine[], variant: number) => Made {
  let last: { readonly lines: readonly EncodedLine[]; readonly variant: number; readonly burst: Made } | null = null;
  return (lines, variant) => {
    if (last !== null && last.variant === variant && areSame(last.lines, lines)) return last.burst;
    const burst = make(lines, variant);
    if (burst !== null && burst.bytes <= JOIN_BYTES) last = { lines, variant, burst };
    return burst;
  };
}

/** One after the other, in one write. */
export function joined(pieces: readonly Burst[]): Burst {
  const buffers: Buffer[] = [];
  let bytes = 0;
  for (const piece of pieces) {
    buffers.push(...piece.buffers);
    bytes += piece.bytes;
  }
  return { buffers, bytes };
}

function areSame(some: readonly EncodedLine[], others: readonly EncodedLine[]): boolean {
  return some.length === others.length && some.every((line, index) => line === others[index]);
}
