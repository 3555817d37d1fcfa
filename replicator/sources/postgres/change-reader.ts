import type { Change, IsWanted, Position, StreamEvent } from '../contract.ts';
import type { RowFault } from '../values/row-fault.ts';
import type { KnownTables } from './known-tables.ts';
import type { Layouts } from './layouts.ts';
import {
  malformed,
  messageBytes,
  readBegin,
  readCommit,
  readOid,
  readRelation,
  readTruncate,
  readTuple,
} from './pgoutput.ts';
import { comparePositions, formatPositionHalves } from './position.ts';
import { faultOf } from './row-limits.ts';
import {
  buildRow,
  createRowBytes,
  isUnchanged,
  omittedColumns,
  retainedValues,
  type RowBytes,
  type RowLayout,
  rowKey,
} from './rows.ts';
import type { PublishedTable } from './tables.ts';

/**
 * Turns pgoutput messages into stream events. Transactions without a wanted change give no `begin` and `commit`, only a position that
 * was passed.
 */
export interface ChangeReader {
  /** One message. A promise: nothing more may be read before it is settled. */
  read(bytes: Buffer, start: number, end: number): void | Promise<void>;
  /** The server has sent everything up to here; told as a keepalive when no transaction is open. */
  passed(position: Position): void;
  /** Tells a position that was passed and not yet told. */
  flushPassed(): void | Promise<void>;
  readonly inTransaction: boolean;
}

export interface ChangeReaderDependencies {
  readonly layouts: Layouts;
  readonly known: KnownTables;
  /** Transactions at or before it are skipped. */
  readonly start: Position;
  readonly isWanted: IsWanted;
  emit(event: StreamEvent): void | Promise<void>;
  /** A table whose changes cannot be replicated. */
  unusable(table: PublishedTable): void;
  /** A row that is dropped. */
  unfit(table: PublishedTable, fault: RowFault): void;
}

/** A table as the server described it. What that means is decided when its first change is read. */
interface Relation {
  readonly published: PublishedTable;
  /** Generation of the layouts in which it was decided; -1 not yet. */
  decided: number;
  /** Null: nobody wants it. */
  layout: RowLayout | null;
}

export function createChangeReader(dependencies: ChangeReaderDependencies): ChangeReader {
  const { layouts, known, emit } = dependencies;
  const relations = new Map<number, Relation>();
  const before = createRowBytes();
  const after = createRowBytes();
  let inTransaction = false;
  let skipping = false;
  /** The transaction was announced by `begin`. */
  let announced = false;
  let told: Position = dependencies.start;
  let toTell: Position | null = null;

  const passed = (position: Position): void => {
    if (comparePositions(position, toTell ?? told) > 0) toTell = position;
  };
  const flushPassed = (): void | Promise<void> => {
    if (toTell === null || inTransaction) return;
    told = toTell;
    toTell = null;
    return emit({ kind: 'keepalive', position: told });
  };
  /** Emits several events in order, without a promise as long as nobody returns one. */
  const emitAll = (events: readonly StreamEvent[], from = 0): void | Promise<void> => {
    for (let index = from; index < events.length; index += 1) {
      const promise = emit(events[index]!);
      if (promise !== undefined) return promise.then(() => emitAll(events, index + 1));
    }
  };
  const withBegin = (events: StreamEvent[]): StreamEvent[] => {
    if (!announced) {
      announced = true;
      events.unshift({ kind: 'begin' });
    }
    return events;
  };
  const emitChange = (change: Change): void | Promise<void> =>
    announced ? emit(change) : emitAll(withBegin([change]));

  /** What the description of a wanted table means for the stream (R-121…R-124, S-441…S-444). */
  const tableEvents = (relation: Relation, layout: RowLayout): StreamEvent[] => {
    const { table } = layout;
    const isNew = relation.layout?.table !== table;
    relation.layout = layout;
    if (!isNew) return [];
    if (table.identity === 'none') dependencies.unusable(relation.published);
    const [replaces, ...others] = known.see(table);
    // It took the name of a table while its own former name went too: the rows of both go.
    const emptied = others.map((other): StreamEvent => ({ kind: 'truncate', table: other }));
    return [...emptied, { kind: 'table', table, replaces: replaces ?? null }];
  };
  const decide = (relation: Relation): void | Promise<void> => {
    const { published } = relation;
    relation.decided = layouts.generation;
    if (!dependencies.isWanted(published)) {
      relation.layout = null;
      const lost = known.lose(String(published.oid));
      const isRenamed = lost !== null && (lost.schema !== published.schema || lost.name !== published.name);
      // Renamed to a name that nobody wants: its rows go.
      return isRenamed ? emitAll(withBegin([{ kind: 'truncate', table: lost }])) : undefined;
    }
    const announce = (layout: RowLayout): void | Promise<void> => {
      const events = tableEvents(relation, layout);
      return events.length === 0 ? undefined : emitAll(withBegin(events));
    };
    const layout = layouts.of(published, relation.layout ?? layouts.latest(published.oid));
    return layout instanceof Promise ? layout.then(announce) : announce(layout);
  };
  const relationMessage = (bytes: Buffer, at: number, end: number): void => {
    const published = readRelation(bytes, at, end);
    relations.set(published.oid, { published, decided: -1, layout: relations.get(published.oid)?.layout ?? null });
  };

  const rowMessage = (type: number, bytes: Buffer, at: number, end: number): void | Promise<void> => {
    const relation = relations.get(readOid(bytes, at, end));
    if (relation === undefined) throw malformed('change of a table that was not described');
    if (skipping) return;
    if (relation.decided !== layouts.generation) {
      const promise = decide(relation);
      // The bytes stay where they are until the promise is settled.
      if (promise !== undefined) return promise.then(() => rowMessage(type, bytes, at, end));
    }
    const { layout } = relation;
    if (layout === null || layout.table.identity === 'none') return;
    const bytesSent = end - at;
    let fault: RowFault | null;
    switch (type) {
      case messageBytes.insert:
        if (bytes[at + 4] !== newTuple) throw malformed('insert without a row');
        readTuple(bytes, at + 5, end, after);
        fault = faultOf(layout, after, bytesSent);
        if (fault !== null) return dependencies.unfit(layout.published, fault);
        return emitRow(insertOf(layout, after, bytesSent), type, bytes, at, end);
      case messageBytes.update:
        return emitRow(readUpdate(layout, bytes, at + 4, end, bytesSent), type, bytes, at, end);
      default:
        if (bytes[at + 4] !== keyTuple && bytes[at + 4] !== oldTuple) throw malformed('delete without a row');
        readTuple(bytes, at + 5, end, before);
        return emitRow(deleteOf(layout, before, bytes[at + 4] === oldTuple, bytesSent), type, bytes, at, end);
    }
  };
  /** A value that did not fit its type: the type is read again, and the message too. */
  const emitRow = (change: Change, type: number, bytes: Buffer, at: number, end: number): void | Promise<void> =>
    layouts.isOutdated ? layouts.reload().then(() => rowMessage(type, bytes, at, end)) : emitChange(change);
  const readUpdate = (layout: RowLayout, bytes: Buffer, from: number, end: number, bytesSent: number): Change => {
    let at = from;
    const kind = bytes[at];
    let hasOld = false;
    if (kind === keyTuple || kind === oldTuple) {
      at = readTuple(bytes, at + 1, end, before);
      hasOld = true;
    }
    if (bytes[at] !== newTuple) throw malformed('update without a row');
    readTuple(bytes, at + 1, end, after);
    const fault = faultOf(layout, after, end - at);
    if (fault !== null) {
      // What was there before goes: it is no longer what the source has.
      dependencies.unfit(layout.published, fault);
      return deleteOf(layout, hasOld ? before : after, kind === oldTuple, bytesSent);
    }
    return updateOf(layout, after, hasOld ? before : null, kind === oldTuple, bytesSent);
  };
  const truncateMessage = async (bytes: Buffer, at: number, end: number): Promise<void> => {
    for (const oid of readTruncate(bytes, at, end)) {
      const relation = relations.get(oid);
      if (relation === undefined) continue;
      if (relation.decided !== layouts.generation) await decide(relation);
      const table = relation.layout?.table;
      if (table !== undefined && table.identity !== 'none') await emitAll(withBegin([{ kind: 'truncate', table }]));
    }
  };
  const commitMessage = (bytes: Buffer, at: number, end: number): void | Promise<void> => {
    const { high, low, timeMs } = readCommit(bytes, at, end);
    inTransaction = false;
    const position = formatPositionHalves(high, low);
    if (!announced) return skipping ? undefined : passed(position);
    announced = false;
    toTell = null;
    told = position;
    return emit({ kind: 'commit', position, timeMs });
  };
  const beginMessage = (bytes: Buffer, at: number, end: number): void => {
    const { high, low } = readBegin(bytes, at, end);
    inTransaction = true;
    // The server decides by the same comparison: the record of the commit begins before the position.
    skipping = comparePositions(formatPositionHalves(high, low), dependencies.start) < 0;
  };

  return {
    read(bytes, start, end) {
      const type = bytes[start]!;
      const at = start + 1;
      switch (type) {
        case messageBytes.insert:
        case messageBytes.update:
        case messageBytes.delete:
          return rowMessage(type, bytes, at, end);
        case messageBytes.begin:
          return beginMessage(bytes, at, end);
        case messageBytes.commit:
          return commitMessage(bytes, at, end);
        case messageBytes.relation:
          return relationMessage(bytes, at, end);
        case messageBytes.truncate:
          return skipping ? undefined : truncateMessage(bytes, at, end);
        default:
          // Origins, types and logical messages hold nothing that we need.
          return;
      }
    },
    passed: (position) => {
      if (!inTransaction) passed(position);
    },
    flushPassed,
    get inTransaction() {
      return inTransaction;
    },
  };
}

const keyTuple = 0x4b;
const oldTuple = 0x4f;
const newTuple = 0x4e;

function insertOf(layout: RowLayout, row: RowBytes, bytes: number): Change {
  checkColumns(layout, row);
  return {
    kind: 'insert',
    table: layout.table,
    key: rowKey(layout, row),
    keyBefore: null,
    before: null,
    keyRowBefore: null,
    after: buildRow(layout, row),
    omitted: null,
    retain: retainedValues(layout, row, false),
    bytes,
  };
}

/** `old` holds the former key, or with `complete` the whole former row. */
function updateOf(layout: RowLayout, row: RowBytes, old: RowBytes | null, complete: boolean, bytes: number): Change {
  checkColumns(layout, row);
  if (old !== null) {
    checkColumns(layout, old);
    restoreUnchanged(row, old, complete, layout);
  }
  const omitted = omittedColumns(row);
  const key = rowKey(layout, row);
  const keyBefore = old === null ? null : rowKey(layout, old);
  const changedKey = keyBefore !== null && keyBefore !== key;
  const oldRow = old === null ? null : buildRow(layout, old);
  return {
    kind: 'update',
    table: layout.table,
    key,
    keyBefore: changedKey ? keyBefore : null,
    before: complete ? oldRow : null,
    keyRowBefore: changedKey ? oldRow : null,
    after: buildRow(layout, row),
    omitted,
    retain: retainedValues(layout, row, omitted !== null),
    bytes,
  };
}

function deleteOf(layout: RowLayout, row: RowBytes, complete: boolean, bytes: number): Change {
  checkColumns(layout, row);
  const values = buildRow(layout, row);
  return {
    kind: 'delete',
    table: layout.table,
    key: rowKey(layout, row),
    before: complete ? values : null,
    keyRow: values,
    bytes,
  };
}

function checkColumns(layout: RowLayout, row: RowBytes): void {
  if (row.count !== layout.forms.length) throw malformed('row whose columns are not those of its table');
}

/** Values left out because they did not change are in the old row: all of them in a complete one, else those of the identity. */
function restoreUnchanged(row: RowBytes, old: RowBytes, complete: boolean, layout: RowLayout): void {
  const restore = (index: number): void => {
    if (row.end[index] !== isUnchanged) return;
    row.start[index] = old.start[index]!;
    row.end[index] = old.end[index]!;
  };
  if (complete) for (let index = 0; index < row.count; index += 1) restore(index);
  else for (const index of layout.table.identityColumns) restore(index);
}
