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

/** Texts of states with one place of the usual type and id, by definition and key: many rows share them, and none is made twice. */
const MEMO_ENTRIES = 20_000;
const memo = new Map<number, Map<string, string>>();
let memoized = 0;

function onePlace(definition: number, key: string): string {
  let ofDefinition = memo.get(definition);
  const known = ofDefinition?.get(key);
  if (known !== undefined) return known;
  if (memoized >= MEMO_ENTRIES) {
    memo.clear();
    memoized = 0;
    ofDefinition = undefined;
  }
  if (ofDefinition === undefined) memo.set(definition, (ofDefinition = new Map()));
  const text = JSON.stringify([definition, key, 0, 0]);
  ofDefinition.set(key, text);
  memoized++;
  return text;
}

/** `rowKey` and `tableName` are the usual object id and type and then not repeated. `belongs` picks the places that the record is for. */
export function encodeRowState(
  placements: readonly Placement[],
  retained: RetainedValues | null,
  rowKey: string,
  tableName: string,
  belongs: (place: never) => boolean = () => true,
): string | null {
  let only: Placement | null = null;
  let text = '';
  for (const place of placements) {
    if (!belongs(place as never)) continue;
    const isUsual = place.objectType === tableName && place.objectId === rowKey;
    if (isUsual && only === null && text === '' && retained === null) {
      only = place;
      continue;
    }
    if (only !== null) {
      text = onePlace(only.definition, only.key).slice(0, -1);
      only = null;
    }
    const objectType = place.objectType === tableName ? '0' : JSON.stringify(place.objectType);
    const objectId = place.objectId === rowKey ? '0' : JSON.stringify(place.objectId);
    text += `${text === '' ? '[' : ','}${place.definition},${JSON.stringify(place.key)},${objectType},${objectId}`;
  }
  if (only !== null) return onePlace(only.definition, only.key);
  if (retained !== null) text += `${text === '' ? '[' : ','}${JSON.stringify(retained)}`;
  return text === '' ? null : `${text}]`;
}

export function decodeRowState(text: string, rowKey: string, tableName: string): RowState {
  const flat = JSON.parse(text) as unknown[];
  const placements: Placement[] = [];
  let at = 0;
  for (; at + 3 < flat.length; at += 4) {
    const [definition, key, objectType, objectId] = flat.slice(at, at + 4) as [number, string, string | 0, string | 0];
    placements.push({
      definition,
      key,
      objectType: objectType === 0 ? tableName : objectType,
      objectId: objectId === 0 ? rowKey : objectId,
    });
  }
  return { placements, retained: at < flat.length ? (flat[at] as RetainedValues) : null };
}

export function samePlace(a: Placement, b: Placement): boolean {
  return a.definition === b.definition && a.key === b.key && a.objectType === b.objectType && a.objectId === b.objectId;
}
