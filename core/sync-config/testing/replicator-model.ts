/**
 * For tests: the replicator in few lines. Buckets and lookups follow the changes of rows one by one: `members` of the former version says
 * what goes, `evaluate` of the new one what comes. What the contract promises of the two is checked at each change.
 */
import assert from 'node:assert/strict';
import type { ReadLookups, RowSink, TableEvaluator, UsedLookup } from '../contract.ts';
import { createTableEvaluator } from '../evaluate/table-evaluator.ts';
import type { SyncPlan } from '../plan.ts';
import type { SourceRow, SourceTable } from '../values.ts';

/** One row in a bucket; `source` is its subkey (S-404). */
export interface BucketRow {
  readonly type: string;
  readonly id: string;
  readonly source: string;
  readonly data: string;
}
export interface ReplicatorModel {
  /** `subkey` identifies the source row; `before` and `after` are null where it does not exist. Answers the lookup keys that changed. */
  change(table: SourceTable, subkey: string, before: SourceRow | null, after: SourceRow | null): ReadonlySet<string>;
  rowsOf(identity: string, key: string): readonly BucketRow[];
  /** Everything in a comparable form. */
  contents(): unknown;
  readonly read: ReadLookups;
}

/** What one row contributes, by what it is to be found under. */
interface Places {
  readonly buckets: Map<string, { bucket: string; row: Omit<BucketRow, 'source' | 'data'>; data: string | null }>;
  readonly lookups: Map<string, string>;
  readonly rejected: string[];
}
export const lookupText = ({ identity, key }: UsedLookup): string => `${identity} ${key}`;

function placesOf(evaluator: TableEvaluator, row: SourceRow, how: 'evaluate' | 'members', only?: number): Places {
  const places: Places = { buckets: new Map(), lookups: new Map(), rejected: [] };
  const identityOf = (definition: number): string => evaluator.definitions[definition]?.identity ?? '';
  const sink: RowSink = {
    bucket: (definition, key, type, id, data) => {
      if (only !== undefined && definition !== only) return;
      assert.equal(data === null, how === 'members');
      const bucket = `${identityOf(definition)} ${key}`;
      const name = JSON.stringify([bucket, type, id]);
      assert(!places.buckets.has(name), 'a row is in a bucket once');
      places.buckets.set(name, { bucket, row: { type, id }, data });
    },
    lookup: (definition, key, values) => {
      if (only !== undefined && definition !== only) return;
      const name = lookupText({ identity: identityOf(definition), key });
      assert(!places.lookups.has(name), 'a row gives a lookup key once');
      places.lookups.set(name, values);
    },
    writeCheckpoint: () => assert.fail('no event is configured'),
    rejected: (definition, code) => {
      if (only === undefined || definition === only) places.rejected.push(`${definition} ${code}`);
      // of the rows of these tests only a missing id can be wrong (S-265)
      assert.equal(code, 'PSYNC_S1010');
    },
  };
  evaluator[how](row, sink);
  return places;
}
const withoutData = ({ buckets, lookups, rejected }: Places): unknown => [[...buckets.keys()], [...lookups], rejected];

/** The row with null in all columns but these. */
const reduced = (row: SourceRow, kept: (column: number) => boolean): SourceRow =>
  row.map((value, column) => (kept(column) ? value : null));

/** What `TableEvaluator` promises of one row; `other` is a row of the same table. Answers its places. */
function checkedPlaces(evaluator: TableEvaluator, row: SourceRow, other: SourceRow | null): Places {
  const places = placesOf(evaluator, row, 'evaluate');
  const members = placesOf(evaluator, row, 'members');
  assert.deepEqual(withoutData(members), withoutData(places), 'members and evaluate agree');
  const read = reduced(row, (column) => evaluator.columnsRead[column] === true);
  assert.deepEqual(placesOf(evaluator, read, 'evaluate'), places, 'columns that are not read do not matter');
  for (const [definition, { membershipColumns }] of evaluator.definitions.entries()) {
    const whole = withoutData(placesOf(evaluator, row, 'members', definition));
    const few = reduced(row, (column) => membershipColumns.includes(column));
    assert.deepEqual(withoutData(placesOf(evaluator, few, 'members', definition)), whole, 'membership columns decide');
    if (other === null) continue;
    const mixed = row.map((value, column) => (membershipColumns.includes(column) ? value : (other[column] ?? null)));
    assert.deepEqual(withoutData(placesOf(evaluator, mixed, 'members', definition)), whole, 'other columns do not');
  }
  return places;
}

export function createReplicatorModel(plan: SyncPlan): ReplicatorModel {
  const evaluators = new Map<SourceTable, TableEvaluator | null>();
  const evaluatorOf = (table: SourceTable): TableEvaluator | null => {
    let found = evaluators.get(table);
    if (found === undefined) evaluators.set(table, (found = createTableEvaluator(plan, table)));
    return found;
  };
  const buckets = new Map<string, Map<string, BucketRow>>();
  const lookups = new Map<string, Map<string, string>>();
  const bucketOf = (name: string): Map<string, BucketRow> => {
    const found = buckets.get(name) ?? new Map<string, BucketRow>();
    buckets.set(name, found);
    return found;
  };

  return {
    change: (table, subkey, before, after) => {
      const changed = new Set<string>();
      const evaluator = evaluatorOf(table);
      if (evaluator === null) return changed;
      const old = before === null ? null : placesOf(evaluator, before, 'members');
      const now = after === null ? null : checkedPlaces(evaluator, after, before);
      for (const [name, { bucket }] of old?.buckets ?? []) {
        assert(bucketOf(bucket).delete(`${name} ${subkey}`), 'what is removed is there');
      }
      for (const [name, { bucket, row, data }] of now?.buckets ?? []) {
        bucketOf(bucket).set(`${name} ${subkey}`, { ...row, source: subkey, data: data ?? '' });
      }
      for (const [name, values] of old?.lookups ?? []) {
        assert.equal(lookups.get(name)?.get(subkey), values, 'what is removed is there');
        if (now?.lookups.get(name) === values) continue;
        lookups.get(name)?.delete(subkey);
        changed.add(name);
      }
      for (const [name, values] of now?.lookups ?? []) {
        if (old?.lookups.get(name) === values) continue;
        lookups.set(name, (lookups.get(name) ?? new Map<string, string>()).set(subkey, values));
        changed.add(name);
      }
      return changed;
    },
    rowsOf: (identity, key) => [...(buckets.get(`${identity} ${key}`)?.values() ?? [])],
    contents: () => {
      const filled = <T>(map: Map<string, Map<string, T>>): unknown =>
        [...map]
          .filter(([, entries]) => entries.size > 0)
          .map(([name, entries]) => [name, [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1))] as const)
          .toSorted(([a], [b]) => (a < b ? -1 : 1));
      return [filled(buckets), filled(lookups)];
    },
    read: async (keys) => keys.map((key) => [...(lookups.get(lookupText(key))?.values() ?? [])]),
  };
}
