/** Where bucket storage has the row: by what the source says of it, or by what storage itself knows. */
import type { BucketReader } from '#core/bucket-storage/contract.ts';
import type { RegisteredTable, StorageInspection } from '#core/bucket-storage/inspection.ts';
import type { DeployedVersion } from '#core/bucket-storage/sync-config-store.ts';
import type { KnownPlace } from '#core/sync-config/explain/explain-row.ts';
import type { RowPlace } from '#core/sync-config/explain/contract.ts';
import { matchesTable } from '#core/sync-config/evaluate/matches-table.ts';
import type { SyncPlan } from '#core/sync-config/plan.ts';
import { stateKeyOf, subkeyOf } from '#replicator/pipeline/change-applier.ts';
import { decodeRowState } from '#replicator/pipeline/row-state.ts';
import type { ReplicatedTable } from '#replicator/sources/contract.ts';
import type { BucketNames } from './bucket-names.ts';
import type { TableName } from './choose-table.ts';
import type { StoredReport } from './contract.ts';
import { findOperation, type FoundOperation, type SearchBudget, type WantedRow } from './find-operation.ts';

export interface StoredContext {
  readonly reader: BucketReader;
  readonly inspection: StorageInspection;
  readonly version: DeployedVersion;
  readonly plan: SyncPlan;
  readonly names: BucketNames;
  /** Everything is read as of this checkpoint. */
  readonly op: number;
  readonly budget: SearchBudget;
}

/** Buckets that are looked into, of those that the session has, and of others. */
const MOST_HELD = 200;
const MOST_OTHERS = 5;
/** Row states that are asked for. */
const MOST_STATES = 1000;

/** The newest operation of a row that the source has, in the buckets that its queries put it in. */
export async function storedPlaces(
  context: StoredContext,
  row: { readonly table: ReplicatedTable; readonly key: string; readonly registered: readonly RegisteredTable[] },
  places: readonly RowPlace[],
  elsewhere: readonly RowPlace[],
): Promise<StoredReport[]> {
  const { table, key, registered } = row;
  const same = registered.filter((item) => item.relation === table.relation && item.identity === table.identityText);
  const subkeys = new Set((same.length > 0 ? same : registered).map(({ id }) => subkeyOf(id, key)));
  const reports: StoredReport[] = [];
  for (const [held, list] of [
    [true, places.slice(0, MOST_HELD)],
    [false, elsewhere.slice(0, MOST_OTHERS)],
  ] as const) {
    for (const place of list) {
      const found = await find(context, place, {
        texts: [...subkeys],
        matches: ({ objectType, objectId, subkey }) =>
          objectType === place.objectType && objectId === place.objectId && subkeys.has(subkey ?? ''),
      });
      reports.push(reportOf(context, place, held, found, place.data));
    }
  }
  return reports;
}

/** What storage knows of a row by itself. */
export interface KnownRow {
  readonly stored: readonly StoredReport[];
  /** Where it is now. */
  readonly places: readonly KnownPlace[];
  /** Its key in the source, where storage has it in full. */
  readonly key: string | null;
}

/**
 * What storage knows of a row that the source has not, or cannot be asked for: its row states, and its operations in the buckets of the
 * session. `id`: its id on the client or its key in the source.
 */
export async function storedById(
  context: StoredContext,
  asked: { readonly table: TableName; readonly id: string; readonly registered: readonly RegisteredTable[] },
  held: readonly { readonly identity: string; readonly key: string }[],
): Promise<KnownRow> {
  const { plan } = context;
  const { table, id, registered } = asked;
  const filling = new Map(
    plan.buckets.flatMap(({ identity, rules }) => {
      const own = rules.filter((rule) => matchesTable(rule.table, table));
      return own.length === 0
        ? []
        : [[identity, new Set(own.map(({ objectType }) => objectType ?? table.name))] as const];
    }),
  );
  const stated = (await rowStates(context, asked)).filter(({ identity }) => filling.has(identity));
  const own = held.filter(({ identity }) => filling.has(identity)).slice(0, MOST_HELD);
  const isHeld = (place: { identity: string; key: string }): boolean =>
    own.some(({ identity, key }) => identity === place.identity && key === place.key);
  const ids = new Set(registered.map((item) => String(item.id)));
  const subkeys = new Set(registered.map((item) => subkeyOf(item.id, id)));
  const stored: StoredReport[] = [];
  const places = new Map(stated.map((place) => [JSON.stringify(place), place]));
  let rowKey: string | null = null;
  for (const place of [...own, ...stated.filter((item) => !isHeld(item)).slice(0, MOST_OTHERS)]) {
    const types = filling.get(place.identity);
    const found = await find(context, place, {
      texts: [id, ...subkeys],
      matches: ({ objectType, objectId, subkey }) =>
        types?.has(objectType ?? '') === true &&
        ids.has(subkey?.split('/', 1)[0] ?? '') &&
        (objectId === id || subkeys.has(subkey ?? '')),
    });
    if (found.state === 'absent' && isHeld(place) && found.clearedUpTo === null) continue;
    stored.push(reportOf(context, place, isHeld(place), found, null));
    if (found.state !== 'found') continue;
    const { op, objectType, objectId, subkey } = found.operation;
    if (op !== 'PUT' || objectType === null || objectId === null) continue;
    const known = { identity: place.identity, key: place.key, objectType, objectId };
    places.set(JSON.stringify(known), known);
    rowKey ??= wholeKey(subkey ?? '');
  }
  return { stored, places: [...places.values()], key: rowKey };
}

/** The key in a subkey; null where only its hash is there. */
function wholeKey(subkey: string): string | null {
  const key = subkey.slice(subkey.indexOf('/') + 1);
  return key === '' || key.startsWith('#') ? null : key;
}

/** Where rows with this key are according to their row states: rows whose place follows from the key have none. */
async function rowStates(
  { inspection, version, names }: StoredContext,
  {
    table,
    id,
    registered,
  }: { readonly table: TableName; readonly id: string; readonly registered: readonly RegisteredTable[] },
): Promise<KnownPlace[]> {
  const groups = [...new Set(version.definitions.map(({ since }) => since))];
  const keys = registered.flatMap((item) => groups.map((group) => stateKeyOf(group, subkeyOf(item.id, id))));
  const states = await inspection.rowStates(keys.slice(0, MOST_STATES));
  return states.flatMap((state) =>
    state === null
      ? []
      : decodeRowState(state, id, table.name).placements.flatMap(({ definition, key, objectType, objectId }) => {
          const identity = names.identityOf(definition);
          return identity === null ? [] : [{ identity, key, objectType, objectId }];
        }),
  );
}

async function find(
  { reader, names, op, budget }: StoredContext,
  { identity, key }: { readonly identity: string; readonly key: string },
  wanted: WantedRow,
): Promise<FoundOperation> {
  return findOperation(reader, names.ref(identity, key), op, wanted, budget);
}

interface PlaceAsked {
  readonly identity: string;
  readonly key: string;
  /** The row on the client, where it is known before. */
  readonly objectType?: string | null;
  readonly objectId?: string | null;
}

function reportOf(
  { names, plan }: StoredContext,
  { identity, key, objectType = null, objectId = null }: PlaceAsked,
  held: boolean,
  found: FoundOperation,
  data: string | null,
): StoredReport {
  const bucket = { bucket: names.name(identity, key), stream: streamOf(plan, identity), held };
  if (found.state !== 'found') {
    const clearedUpTo = found.state === 'absent' && found.clearedUpTo !== null ? String(found.clearedUpTo) : null;
    return {
      ...bucket,
      state: found.state,
      op: null,
      objectType,
      objectId,
      checksum: null,
      current: null,
      clearedUpTo,
    };
  }
  const { opId, op, checksum, data: stored, ...row } = found.operation;
  const state = op === 'PUT' ? 'put' : 'removed';
  const current = data === null ? null : state === 'put' && stored === data;
  const { objectType: type, objectId: id } = row;
  return { ...bucket, state, op: String(opId), objectType: type, objectId: id, checksum, current, clearedUpTo: null };
}

/** The stream whose queries fill a definition. */
function streamOf(plan: SyncPlan, identity: string): string {
  const index = plan.buckets.findIndex((bucket) => bucket.identity === identity);
  return plan.streams.find(({ queriers }) => queriers.some(({ bucket }) => bucket === index))?.name ?? '';
}
