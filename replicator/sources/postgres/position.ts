import type { Position } from '../contract.ts';

/**
 * Positions are log sequence numbers as fixed-width hex text, `00000000/019A8F80` (wire/10), so that they compare as text.
 */

/** Before everything. */
export const positionZero: Position = '00000000/00000000';

/** Text of an LSN in its 64-bit form. */
export function formatPosition(lsn: bigint): Position {
  const hex = lsn.toString(16).toUpperCase().padStart(16, '0');
  return `${hex.slice(0, 8)}/${hex.slice(8)}`;
}

/** The same from its two halves, each an unsigned 32-bit number. */
export function formatPositionHalves(high: number, low: number): Position {
  return `${hex32(high)}/${hex32(low)}`;
}

function hex32(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}

/** Reads `16/B374D848` of any width, as Postgres prints it. Throws a RangeError for anything else. */
export function parseLsn(text: string): bigint {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (match === null) throw new RangeError(`Not a log sequence number: ${text.slice(0, 40)}`);
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

/** Postgres' text of an LSN as a position. */
export function positionOf(lsnText: string): Position {
  return formatPosition(parseLsn(lsnText));
}

/** Negative, zero, positive: `a` before, at, after `b`. */
export function comparePositions(a: Position, b: Position): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
