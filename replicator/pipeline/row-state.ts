/**
 * What is remembered of a source row: where its stored version is, and values that the source may leave out later.
 * One JSON text per row and definition group; equal text means nothing moved.
 */
import type { RetainedValues } from '../sources/contract.ts';

/** One place a row is in. For a lookup `objectId` holds the output tuples, and `objectType` is empty. */
export interface Placement {
  readonly definition: number;
  readonly key: string;
  readonly objectType: string;
  readonly objectId: string;
}

export interface RowState {
  readonly placements: readonly Placement[];
  readonly retained: RetainedValues | null;
}

/** `rowKey` and `tableName` are the usual object id and type and then not repeated. */
export function encodeRowState(placements: readonly Placement[], retained: RetainedValues | null, rowKey: string, tableName: string): string | null {
  if (placements.length === 0 && retained === null) return null;
  const flat: unknown[] = [];
  for (const place of placements) {
    flat.push(place.definition, place.key, place.objectType === tableName ? 0 : place.objectType, place.objectId === rowKey ? 0 : place.objectId);
  }
  if (retained !== null) flat.push(retained);
  return JSON.stringify(flat);
}

export function decodeRowState(text: string, rowKey: string, tableName: string): RowState {
  const flat = JSON.parse(text) as unknown[];
  const placements: Placement[] = [];
  let at = 0;
  for (; at + 3 < flat.length; at += 4) {
    const [definition, key, objectType, objectId] = flat.slice(at, at + 4) as [number, string, string | 0, string | 0];
    placements.push({ definition, key, objectType: objectType === 0 ? tableName : objectType, objectId: objectId === 0 ? rowKey : objectId });
  }
  return { placements, retained: at < flat.length ? (flat[at] as RetainedValues) : null };
}

export function samePlace(a: Placement, b: Placement): boolean {
  return a.definition === b.definition && a.key === b.key && a.objectType === b.objectType && a.objectId === b.objectId;
}
