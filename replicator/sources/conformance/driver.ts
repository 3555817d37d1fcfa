/** A database that a test writes to, and a source of it that is read: what the tests of all sources work with. */
import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import type { Position, Snapshot, Source, StreamEvent } from '../contract.ts';

export interface SourceDatabase extends AsyncDisposable {
  /** A new source of this database; the caller closes it. */
  open(): Source;
  createTable(name: string): Promise<void>;
  /** One transaction of an application; for a source without transactions, one write after the other. */
  write(writes: readonly Write[]): Promise<void>;
  /** What the table holds now. */
  read(table: string): Promise<Rows>;
  /** Ends the connections of streams, as a network failure does. */
  cutStreams(): Promise<void>;
}
export interface Write {
  readonly table: string;
  readonly id: string;
  /** Null deletes the row; otherwise it is inserted or updated. */
  readonly v: string | null;
}
export type Rows = Readonly<Record<string, string>>;

interface OpenedCursor extends AsyncDisposable {
  readonly source: Source;
  readonly cursor: string;
  readonly snapshot: Snapshot;
}

export async function openCursor(
  database: SourceDatabase,
  wanted: (table: { schema: string; name: string }) => boolean = () => true,
): Promise<OpenedCursor> {
  const source = database.open();
  source.want(wanted);
  const cursor = source.cursorName(1, randomBytes(4).toString('hex'));
  const snapshot = await source.createCursor(cursor, new AbortController().signal);
  return {
    source,
    cursor,
    snapshot,
    async [Symbol.asyncDispose]() {
      await snapshot.close();
      await source.dropCursor(cursor);
      await source.close();
    },
  };
}

type State = Map<string, Record<string, string>>;

export async function copyState(snapshot: Snapshot): Promise<State> {
  const state: State = new Map(snapshot.tables.map(({ table }) => [table.name, {}]));
  const parts = snapshot.tables.flatMap(({ table, ranges }) => ranges.map((range) => ({ table, range })));
  await snapshot.copy(
    parts,
    {
      rows({ table }, rows) {
        for (const { row } of rows) setRow(state, table, row);
      },
      done: () => undefined,
    },
    new AbortController().signal,
  );
  return state;
}

function setRow(state: State, table: { name: string; columns: readonly string[] }, row: readonly unknown[]): void {
  const rows = state.get(table.name) ?? {};
  rows[row[table.columns.indexOf('id')] as string] = row[table.columns.indexOf('v')] as string;
  state.set(table.name, rows);
}

export function applyEvents(state: State, events: readonly StreamEvent[]): void {
  for (const event of events) {
    if (event.kind === 'insert' || event.kind === 'update') {
      expect(event.omitted).toBeNull();
      if (event.keyBefore !== null) delete state.get(event.table.name)![event.keyBefore];
      setRow(state, event.table, event.after);
    } else if (event.kind === 'delete') delete state.get(event.table.name)?.[event.key];
    else if (event.kind === 'truncate') state.set(event.table.name, {});
  }
}

interface RunningStream extends AsyncDisposable {
  readonly events: readonly StreamEvent[];
  passed(position: Position): Promise<void>;
  until(holds: (stream: { readonly events: readonly StreamEvent[] }) => boolean): Promise<void>;
  /** Settles as the stream does. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

export function startStream(
  source: Source,
  cursor: string,
  position: Position,
  onEvent: (event: StreamEvent) => void | Promise<void> = () => undefined,
): RunningStream {
  const events: StreamEvent[] = [];
  const abort = new AbortController();
  const looks = new Set<() => void>();
  const lookAll = (): void => {
    for (const look of [...looks]) look();
  };
  let outcome: { readonly error: unknown } | null = null;
  const ended = source.stream({
    cursor,
    position,
    signal: abort.signal,
    handler: {
      event(event) {
        events.push(event);
        const promise = onEvent(event);
        lookAll();
        return promise;
      },
      idle: () => undefined,
    },
  });
  const settled = ended.then(
    () => undefined,
    (error: unknown) => error,
  );
  void settled.then((error) => {
    outcome = { error };
    lookAll();
  });
  const until: RunningStream['until'] = (holds) =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (holds({ events })) resolve();
        else if (outcome !== null) reject(outcome.error ?? new Error('the stream ended'));
        else return;
        looks.delete(look);
      };
      looks.add(look);
      look();
    });
  const stop = async (): Promise<void> => {
    abort.abort();
    await settled;
  };
  return {
    events,
    until,
    passed: (target) => until((stream) => stream.events.some((event) => isAtOrAfter(source, event, target))),
    ended,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function isAtOrAfter(source: Source, event: StreamEvent, target: Position): boolean {
  return (
    (event.kind === 'commit' || event.kind === 'keepalive') && source.comparePositions(event.position, target) >= 0
  );
}

export function insertedIds(events: readonly StreamEvent[]): string[] {
  return events.flatMap((event) =>
    event.kind === 'insert' ? [String(event.after[event.table.columns.indexOf('id')])] : [],
  );
}

export function hasInsert(events: readonly StreamEvent[], id: string): boolean {
  return insertedIds(events).includes(id);
}

/** Position of the commit of the transaction that inserted the row. */
export function positionOfInsert(events: readonly StreamEvent[], id: string): Position {
  const index = events.findIndex(
    (event) => event.kind === 'insert' && event.after[event.table.columns.indexOf('id')] === id,
  );
  const commit = events.slice(index).find((event) => event.kind === 'commit');
  if (index === -1 || commit === undefined) throw new Error(`No committed insert of ${id} arrived.`);
  return commit.position;
}
