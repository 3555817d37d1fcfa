/**
 * Turns changes of source rows into operations: PUT where the row now is, REMOVE where it no longer is (R-36, S-14), lookup
 * entries likewise. What a row's former version contributed comes from its before image, from its identity, or from its row state.
 */
import { createHash } from 'node:crypto';
import { rowStateKey, type LookupEntry } from '#core/bucket-storage/contract.ts';
import type { SourceRow } from '#core/sync-config/values.ts';
import type { Change, RetainedValues, Source } from '../sources/contract.ts';
import type { OperationBuffer } from './operation-buffer.ts';
import type { RowStateCache } from './row-state-cache.ts';
import { decodeRowState, encodeRowState, samePlace, type Placement } from './row-state.ts';
import { createCollector, type Placed, type TableBinding } from './table-binding.ts';

export type RowUpdate = Extract<Change, { kind: 'insert' | 'update' }>;
export type RowDelete = Extract<Change, { kind: 'delete' }>;

/** A lookup entry that has no op id yet: entries take the ids after those of the flush's operations, in their order. */
export type PendingLookup = Omit<LookupEntry, 'op'>;

export interface ChangeApplier {
  /** Row-state keys to load before the change is applied. `blindInserts`: an insert is known to be of a new row. */
  keysNeeded(binding: TableBinding, change: RowUpdate | RowDelete, blindInserts: boolean, keys: string[]): void;
  /** True when values were left out and nothing was retained: fetch the row and pass it as `fetched`. */
  needsFetch(binding: TableBinding, change: RowUpdate): boolean;
  apply(binding: TableBinding, change: RowUpdate | RowDelete, fetched: SourceRow | null): void;
  /**
   * Instead of `apply`, for an update whose omitted values nobody has any more: the row is withdrawn rather than shown with nulls.
   * The caller holds back what is published until the stream has caught up with the source, which brings the row's removal.
   */
  withdraw(binding: TableBinding, change: RowUpdate): void;
  /** A row of a copy; `known` when the row may have a state already (a resumed copy). */
  copied(binding: TableBinding, key: string, row: SourceRow, retain: RetainedValues | null, known: boolean): void;
  /** Withdraws a place found by scanning (truncate). */
  remove(place: Placement, subkey: string): void;
  removeLookup(lookup: number, key: string, row: string): void;
}

export interface ApplierTarget {
  readonly buffer: OperationBuffer;
  readonly lookups: PendingLookup[];
  readonly writeCheckpoints: { userId: string; clientId: string; checkpoint: bigint }[];
}

export interface ApplierDependencies {
  readonly source: Pick<Source, 'fill'>;
  readonly states: RowStateCache;
  /** Where operations go now; changes with each flush. */
  target(): ApplierTarget;
  rejected(binding: TableBinding, definition: number, code: string, reason: string): void;
}

/** Keys up to this length stand in subkeys as they are. */
const PLAIN_KEY = 48;

/** Identifies the source row inside its table: the identity, hashed when long. */
function shortKey(key: string): string {
  return key.length <= PLAIN_KEY ? key : `#${createHash('sha1').update(key).digest('base64url')}`;
}

/** Identifies the source row inside a bucket (S-404). */
export function subkeyOf(tableId: number, key: string): string {
  return `${tableId}/${shortKey(key)}`;
}

/** Row-state key of a row known by its subkey or `subkeyOf`. Row states are never shared between generations of a table: ids change instead. */
export function stateKeyOf(group: number, subkey: string): string {
  const slash = subkey.indexOf('/');
  return rowStateKey(group, Number(subkey.slice(0, slash)), 0, subkey.slice(slash + 1));
}

export function createChangeApplier({ source, states, target, rejected }: ApplierDependencies): ChangeApplier {
  const now = createCollector();
  const earlier = createCollector();

  let lastPrefix = '';
  let lastKey = '';
  let lastStateKey = '';
  /** Asked for several times in a row for one change: the same string then, whose hash is known. */
  const stateKey = (binding: TableBinding, group: number, key: string): string => {
    const prefix = binding.statePrefix(group);
    if (key === lastKey && prefix === lastPrefix) return lastStateKey;
    lastPrefix = prefix;
    lastKey = key;
    return (lastStateKey = prefix + shortKey(key));
  };
  /** Definition groups for which this row may have a record. */
  const groupsOf = (binding: TableBinding, retained: boolean): readonly number[] =>
    retained && !binding.statefulGroups.includes(binding.retainGroup)
      ? [binding.retainGroup, ...binding.statefulGroups]
      : binding.statefulGroups;

  const put = (place: Placed, subkey: string): void => {
    target().buffer.add(place.definition, place.key, place.objectType, place.objectId, subkey, place.data);
  };
  const remove = (place: Placement, subkey: string): void => {
    target().buffer.add(place.definition, place.key, place.objectType, place.objectId, subkey, null);
  };
  const entry = (lookup: number, key: string, row: string, values: string | null): void => {
    target().lookups.push({ lookup, key, row, values });
  };

  /** Withdraws what `old` lists and `current` does not. */
  const withdraw = (
    old: readonly Placement[],
    current: readonly Placement[],
    binding: TableBinding,
    key: string,
  ): void => {
    const subkey = subkeyOf(binding.tableId, key);
    for (const place of old) {
      if (binding.lookupIds.has(place.definition)) {
        const same = current.some((item) => item.definition === place.definition && item.key === place.key);
        if (!same) entry(place.definition, place.key, subkey, null);
      } else if (!current.some((item) => samePlace(item, place))) {
        remove(place, subkey);
      }
    }
  };

  const oldPlacements = (
    binding: TableBinding,
    key: string,
  ): { placements: Placement[]; retained: RetainedValues | null } => {
    const placements: Placement[] = [];
    let retained: RetainedValues | null = null;
    for (const group of groupsOf(binding, true)) {
      const text = states.get(stateKey(binding, group, key));
      if (text === null) continue;
      const state = decodeRowState(text, key, binding.table.name);
      placements.push(...state.placements);
      retained ??= state.retained;
    }
    return { placements, retained };
  };

  /** Places of stateless definitions, from an image that is enough for them. */
  const statelessPlacements = (binding: TableBinding, image: SourceRow): Placement[] => {
    const evaluated = earlier.run(binding, image, false);
    const all = [...evaluated.buckets, ...evaluated.lookups];
    return all.filter((place) => binding.definitions[place.definitionIndex]!.stateless);
  };

  const removeRow = (binding: TableBinding, key: string, image: SourceRow | null): void => {
    const places = image === null ? [] : statelessPlacements(binding, image);
    const { placements } = oldPlacements(binding, key);
    withdraw([...places, ...placements], [], binding, key);
    for (const group of groupsOf(binding, true)) {
      const name = stateKey(binding, group, key);
      if (states.get(name) !== null) states.set(name, null);
    }
  };

  const encodeFor = (
    binding: TableBinding,
    group: number,
    key: string,
    current: readonly Placed[],
    retain: RetainedValues | null,
  ): string | null =>
    encodeRowState(current, group === binding.retainGroup ? retain : null, key, binding.table.name, (place: Placed) => {
      const definition = binding.definitions[place.definitionIndex]!;
      return definition.group === group && !definition.stateless;
    });

  const writeState = (
    binding: TableBinding,
    key: string,
    current: readonly Placed[],
    retain: RetainedValues | null,
  ): void => {
    for (const group of groupsOf(binding, retain !== null)) {
      states.set(stateKey(binding, group, key), encodeFor(binding, group, key, current, retain));
    }
  };

  /** A row of a first copy: nothing of it can be anywhere yet. */
  const insertNew = (binding: TableBinding, key: string, row: SourceRow, retain: RetainedValues | null): void => {
    const current = place(binding, key, row, null, false);
    for (const group of groupsOf(binding, retain !== null)) {
      const state = encodeFor(binding, group, key, current, retain);
      if (state !== null) states.insert(stateKey(binding, group, key), state);
    }
  };

  /** Writes the row's present version. Answers its places. `sameKey`: what follows from the identity alone stands already. */
  const place = (
    binding: TableBinding,
    key: string,
    row: SourceRow,
    old: readonly Placement[] | null,
    sameKey: boolean,
  ): Placed[] => {
    const evaluated = now.run(binding, row, true);
    const subkey = subkeyOf(binding.tableId, key);
    for (const bucket of evaluated.buckets) put(bucket, subkey);
    for (const lookup of evaluated.lookups) {
      const stands = sameKey && binding.definitions[lookup.definitionIndex]!.stateless;
      const same = old?.some((item) => samePlace(item, lookup)) ?? false;
      if (!same && !stands) entry(lookup.definition, lookup.key, subkey, lookup.objectId);
    }
    for (const mark of evaluated.writeCheckpoints) target().writeCheckpoints.push(mark);
    for (const reject of evaluated.rejections) rejected(binding, reject.definition, reject.code, reject.reason);
    return evaluated.lookups.length === 0 ? evaluated.buckets : [...evaluated.buckets, ...evaluated.lookups];
  };

  const update = (binding: TableBinding, change: RowUpdate, fetched: SourceRow | null): void => {
    // With a changed key the omitted values were retained under the former one.
    const former = change.keyBefore === null ? null : oldPlacements(binding, change.keyBefore).retained;
    if (change.keyBefore !== null) removeRow(binding, change.keyBefore, change.before ?? change.keyRowBefore);
    const held = oldPlacements(binding, change.key);
    const retained = held.retained ?? former;
    let row = change.after;
    if (change.omitted !== null) row = retained !== null ? source.fill(change, retained) : fetched!;
    const before =
      change.keyBefore === null && change.before !== null ? statelessPlacements(binding, change.before) : [];
    const old = [...held.placements, ...before];
    const sameKey = change.kind === 'update' && change.keyBefore === null && change.before === null;
    const current = place(binding, change.key, row, old, sameKey);
    withdraw(old, current, binding, change.key);
    // What was omitted now may be omitted again: it stays retained beside what came now. All of it or nothing: a part would pass for all.
    const kept = change.omitted === null ? change.retain : retained;
    const { retain } = change;
    writeState(binding, change.key, current, retain === null || kept === null ? kept : { ...kept, ...retain });
  };

  return {
    keysNeeded(binding, change, blindInserts, keys) {
      if (change.kind === 'insert' && blindInserts) return;
      const retained = change.kind !== 'insert' && change.kind !== 'delete' && change.omitted !== null;
      for (const group of groupsOf(binding, retained)) {
        keys.push(stateKey(binding, group, change.key));
        if (change.kind !== 'delete' && change.keyBefore !== null)
          keys.push(stateKey(binding, group, change.keyBefore));
      }
    },
    needsFetch(binding, change) {
      if (change.omitted === null) return false;
      const keys = change.keyBefore === null ? [change.key] : [change.key, change.keyBefore];
      return keys.every((key) => oldPlacements(binding, key).retained === null);
    },
    apply(binding, change, fetched) {
      if (change.kind === 'delete') removeRow(binding, change.key, change.before ?? change.keyRow);
      else update(binding, change, fetched);
    },
    withdraw(binding, change) {
      if (change.keyBefore !== null) removeRow(binding, change.keyBefore, change.before ?? change.keyRowBefore);
      // What is stateless follows from the identity, which is never omitted.
      removeRow(binding, change.key, change.after);
    },
    copied(binding, key, row, retain, known) {
      if (!known) return insertNew(binding, key, row, retain);
      const old = oldPlacements(binding, key).placements;
      const current = place(binding, key, row, old, false);
      withdraw(old, current, binding, key);
      writeState(binding, key, current, retain);
    },
    remove,
    removeLookup: (lookup, key, row) => entry(lookup, key, row, null),
  };
}
