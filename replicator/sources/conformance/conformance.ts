/**
 * What every source passes, whatever database is behind it (contract.ts). A test file of the source calls `describeSource` with a way to
 * make databases of its kind; tables in them have a text key `id` and a text value `v`.
 */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Position, StreamEvent } from '../contract.ts';
import {
  openCursor,
  copyState,
  applyEvents,
  startStream,
  insertedIds,
  hasInsert,
  positionOfInsert,
  type SourceDatabase,
  type Write,
} from './driver.ts';

/** How much is tried by the tests with random writes; each run talks to a server. */
const runs = 5;

export function describeSource(name: string, createDatabase: () => Promise<SourceDatabase>): void {
  describe(`source contract: ${name}`, () => {
    describe('copy and stream', () => copyTests(createDatabase));
    describe('order and restarts', () => orderTests(createDatabase));
    describe('positions', () => positionTests(createDatabase));
    describe('cursors', () => cursorTests(createDatabase));
  });
}

function copyTests(createDatabase: () => Promise<SourceDatabase>): void {
  test('snapshot and stream together are the table, whatever was written meanwhile (R-27, R-118)', async () => {
    const values = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '')),
      fc.constant('\\N\t\n\\'),
    );
    const write = fc.record({
      table: fc.constantFrom('a', 'b'),
      id: fc.constantFrom('1', '2', '3', 'ü'),
      v: fc.option(values),
    });
    const transactions = fc.array(fc.array(write, { minLength: 1, maxLength: 5 }), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(transactions, transactions, transactions, async (before, during, after) => {
        await using database = await createDatabase();
        await database.createTable('a');
        await database.createTable('b');
        for (const each of before) await database.write(each);
        await using opened = await openCursor(database);
        for (const each of during) await database.write(each);
        const state = await copyState(opened.snapshot);
        for (const each of after) await database.write(each);
        await using stream = startStream(opened.source, opened.cursor, opened.snapshot.position);
        await stream.passed(await opened.source.head());
        applyEvents(state, stream.events);
        for (const table of ['a', 'b']) expect(state.get(table) ?? {}).toEqual(await database.read(table));
      }),
      { numRuns: runs },
    );
  });

  test('parts copied one by one are all rows once (R-32)', async () => {
    await using database = await createDatabase();
    await database.createTable('a');
    const written = Array.from({ length: 500 }, (_, n): Write => ({ table: 'a', id: `id${n}`, v: 'x'.repeat(n) }));
    await database.write(written);
    await using opened = await openCursor(database);
    const ids: string[] = [];
    for (const { table, ranges } of opened.snapshot.tables) {
      for (const range of ranges) {
        const done: string[] = [];
        await opened.snapshot.copy(
          [{ table, range }],
          {
            rows: (_part, rows) => void ids.push(...rows.map(({ row }) => String(row[table.columns.indexOf('id')]))),
            done: (part) => void done.push(part.range),
          },
          new AbortController().signal,
        );
        expect(done).toEqual([range]);
      }
    }
    expect(ids.toSorted()).toEqual(written.map(({ id }) => id).toSorted());
  });

  test('a copy waits for its handler, and ends when told', async () => {
    await using database = await createDatabase();
    await database.createTable('a');
    await database.write([{ table: 'a', id: '1', v: 'x' }]);
    await using opened = await openCursor(database);
    const parts = opened.snapshot.tables.flatMap(({ table, ranges }) => ranges.map((range) => ({ table, range })));
    const abort = new AbortController();
    let done = false;
    const copying = opened.snapshot.copy(
      parts,
      {
        rows: () => {
          abort.abort(new Error('enough'));
          return new Promise<void>(() => undefined);
        },
        done: () => {
          done = true;
        },
      },
      abort.signal,
    );
    await expect(copying).rejects.toThrow('enough');
    expect(done).toBe(false);
  });

  test('unwanted tables are neither copied nor streamed (R-28, R-95)', async () => {
    await using database = await createDatabase();
    await database.createTable('a');
    await database.createTable('b');
    await using opened = await openCursor(database, ({ name }) => name === 'a');
    expect(opened.snapshot.tables.map(({ table }) => table.name)).toEqual(['a']);
    await database.write([
      { table: 'a', id: '1', v: 'x' },
      { table: 'b', id: '1', v: 'x' },
    ]);
    await database.write([{ table: 'b', id: '2', v: 'x' }]);
    await using stream = startStream(opened.source, opened.cursor, opened.snapshot.position);
    await stream.passed(await opened.source.head());
    const tables = stream.events.flatMap((event) => ('table' in event ? [event.table.name] : []));
    expect([...new Set(tables)]).toEqual(['a']);
    expect(stream.events.filter(({ kind }) => kind === 'insert')).toHaveLength(1);
  });

  test('a later snapshot shows nothing that lies behind its position (R-97)', async () => {
    await using database = await createDatabase();
    await database.createTable('a');
    await using opened = await openCursor(database);
    await database.write([{ table: 'a', id: '1', v: 'x' }]);
    const later = await opened.source.openSnapshot(new AbortController().signal);
    await database.write([{ table: 'a', id: '2', v: 'y' }]);
    const state = await copyState(later);
    expect(state.get('a')).toEqual({ 1: 'x' });
    await later.close();
    await using stream = startStream(opened.source, opened.cursor, opened.snapshot.position);
    await stream.until(({ events }) => hasInsert(events, '2'));
    const first = positionOfInsert(stream.events, '1');
    expect(opened.source.comparePositions(first, later.position)).toBeLessThanOrEqual(0);
  });
}

function orderTests(createDatabase: () => Promise<SourceDatabase>): void {
  test('transactions come whole, in order, with growing positions (R-33)', async () => {
    await using database = await createDatabase();
    await database.createTable('a');
    await using opened = await openCursor(database);
    for (let n = 0; n < 20; n += 1) {
      await database.write([
        { table: 'a', id: `${n}-1`, v: 'x' },
        { table: 'a', id: `${n}-2`, v: 'x' },
      ]);
    }
    await using stream = startStream(opened.source, opened.cursor, opened.snapshot.position);
    await stream.passed(await opened.source.head());
    const ids: string[] = [];
    let open = false;
    let last = opened.snapshot.position;
    for (const event of stream.events) {
      if (event.kind === 'begin') {
        expect(open).toBe(false);
        open = true;
      } else if (event.kind === 'commit' || event.kind === 'keepalive') {
        expect(open).toBe(event.kind === 'commit');
        open = false;
        expect(opened.source.comparePositions(event.position, last)).toBeGreaterThan(0);
        last = event.position;
      } else {
        expect(open).toBe(true);
        if (event.kind === 'insert') ids.push(String(event.after[event.table.columns.indexOf('id')]));
      }
    }
    expect(ids).toEqual(Array.from({ length: 20 }, (_, n) => [`${n}-1`, `${n}-2`]).flat());
  });

  test('a stream from any commit gives exactly what came after it (R-31)', async () => {
    await using database = await createDatabase();
    await database.createTable('a');
    await using opened = await openCursor(database);
    for (let n = 0; n < 6; n += 1) await database.write([{ table: 'a', id: String(n), v: 'x' }]);
    await using first = startStream(opened.source, opened.cursor, opened.snapshot.position);
    await first.until(({ events }) => hasInsert(events, '5'));
    await first.stop();
    for (const stored of [2, 0, 4]) {
      const position = positionOfInsert(first.events, String(stored));
      await using stream = startStream(opened.source, opened.cursor, position);
      await stream.until(({ events }) => hasInsert(events, '5'));
      await stream.stop();
      expect(insertedIds(stream.events)).toEqual(Array.from({ length: 5 - stored }, (_, n) => String(stored + 1 + n)));
    }
  });

  test('a stream that is cut is resumed without gap and without repetition', async () => {
    await using database = await createDatabase();
    await database.createTable('a');
    await using opened = await openCursor(database);
    const ids: string[] = [];
    let position = opened.snapshot.position;
    for (let round = 0; round < 3; round += 1) {
      await database.write([{ table: 'a', id: `r${round}`, v: 'x' }]);
      await using stream = startStream(opened.source, opened.cursor, position);
      await stream.until(({ events }) => hasInsert(events, `r${round}`) && events.at(-1)?.kind !== 'insert');
      await database.cutStreams();
      await expect(stream.ended).rejects.toMatchObject({ code: expect.stringMatching(/^PSYNC_S/) });
      ids.push(...insertedIds(stream.events));
      position = positionOfInsert(stream.events, `r${round}`);
    }
    expect(ids).toEqual(['r0', 'r1', 'r2']);
  });

  test('a handler that takes its time holds the stream back', async () => {
    await using database = await createDatabase();
    await database.createTable('a');
    await using opened = await openCursor(database);
    for (let n = 0; n < 10; n += 1) await database.write([{ table: 'a', id: String(n), v: 'x' }]);
    const target = await opened.source.head();
    let release = (): void => undefined;
    const seen: StreamEvent[] = [];
    await using stream = startStream(opened.source, opened.cursor, opened.snapshot.position, (event) => {
      seen.push(event);
      if (event.kind !== 'insert') return undefined;
      return new Promise<void>((resolve) => {
        release = resolve;
      });
    });
    for (let n = 0; n < 10; n += 1) {
      await stream.until(({ events }) => insertedIds(events).length === n + 1);
      // Nothing comes while the promise is pending, also when the event loop gets time.
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(seen.at(-1)?.kind).toBe('insert');
      expect(insertedIds(seen)).toHaveLength(n + 1);
      release();
    }
    await stream.passed(target);
  });

  test('an abort ends a stream and a cursor that are just being opened, whenever it comes', async () => {
    await using database = await createDatabase();
    await using opened = await openCursor(database);
    for (const wait of abortAfterMs) {
      const stream = startStream(opened.source, opened.cursor, opened.snapshot.position);
      await new Promise((resolve) => setTimeout(resolve, wait));
      await stream.stop();
      await expect(stream.ended).resolves.toBeUndefined();
    }
    for (const wait of abortAfterMs) {
      const name = opened.source.cursorName(2, randomBytes(4).toString('hex'));
      const abort = new AbortController();
      const creating = opened.source.createCursor(name, abort.signal);
      setTimeout(() => abort.abort(new Error('enough')), wait);
      const snapshot = await creating.catch((error: unknown) => {
        expect(error).toMatchObject({ message: 'enough' });
        return null;
      });
      await snapshot?.close();
      if (snapshot === null) expect(await opened.source.cursorState(name)).toMatchObject({ kind: 'lost' });
      await opened.source.dropCursor(name);
    }
  });

  test('after the abort the stream ends and hands nothing on', async () => {
    await using database = await createDatabase();
    await database.createTable('a');
    await using opened = await openCursor(database);
    await using stream = startStream(opened.source, opened.cursor, opened.snapshot.position);
    await database.write([{ table: 'a', id: '1', v: 'x' }]);
    await stream.until(({ events }) => hasInsert(events, '1'));
    await stream.stop();
    await expect(stream.ended).resolves.toBeUndefined();
    const count = stream.events.length;
    await database.write([{ table: 'a', id: '2', v: 'x' }]);
    await opened.source.head();
    expect(stream.events).toHaveLength(count);
  });
}

/** Moments of an opening stream, in milliseconds after its start. */
const abortAfterMs = [0, 1, 2, 3, 5, 8, 13, 20, 30, 45, 70];

function positionTests(createDatabase: () => Promise<SourceDatabase>): void {
  test('what was committed before head() is delivered when the stream passes it, on an idle source too (R-44, R-45)', async () => {
    await using database = await createDatabase();
    await database.createTable('a');
    await using opened = await openCursor(database);
    await using stream = startStream(opened.source, opened.cursor, opened.snapshot.position);
    for (let n = 0; n < 5; n += 1) {
      await database.write([{ table: 'a', id: String(n), v: 'x' }]);
      await stream.passed(await opened.source.head());
      expect(hasInsert(stream.events, String(n))).toBe(true);
    }
    // Nothing was written since.
    await stream.passed(await opened.source.head());
  });

  test('positions are in a total order, and heads never go back', async () => {
    await using database = await createDatabase();
    const source = database.open();
    try {
      const heads: Position[] = [];
      for (let n = 0; n < 5; n += 1) heads.push(await source.head());
      for (const [i, a] of heads.entries()) {
        for (const [j, b] of heads.entries()) {
          expect(Math.sign(source.comparePositions(a, b))).toBe(a === b ? 0 : Math.sign(i - j));
        }
      }
    } finally {
      await source.close();
    }
  });

  test('a heartbeat moves the position of an idle source (R-10, R-105)', async () => {
    await using database = await createDatabase();
    await using opened = await openCursor(database);
    await using stream = startStream(opened.source, opened.cursor, opened.snapshot.position);
    await stream.passed(await opened.source.head());
    const before = stream.events.length;
    await opened.source.heartbeat();
    await stream.until(({ events }) =>
      events.slice(before).some(({ kind }) => kind === 'commit' || kind === 'keepalive'),
    );
  });
}

function cursorTests(createDatabase: () => Promise<SourceDatabase>): void {
  test('a cursor that was dropped is lost; dropping it again is fine (R-103)', async () => {
    await using database = await createDatabase();
    await using opened = await openCursor(database);
    await opened.snapshot.close();
    expect(await opened.source.cursorState(opened.cursor, opened.snapshot.position)).toEqual({ kind: 'ok' });
    await opened.source.dropCursor(opened.cursor);
    await opened.source.dropCursor(opened.cursor);
    expect(await opened.source.cursorState(opened.cursor)).toMatchObject({
      kind: 'lost',
      code: expect.stringMatching(/^PSYNC_S/),
    });
    await expect(startStream(opened.source, opened.cursor, opened.snapshot.position).ended).rejects.toMatchObject({
      code: expect.stringMatching(/^PSYNC_S/),
    });
  });

  test('two cursors stream side by side, each from its own position (R-42)', async () => {
    await using database = await createDatabase();
    await database.createTable('a');
    await using first = await openCursor(database);
    await database.write([{ table: 'a', id: '1', v: 'x' }]);
    await using second = await openCursor(database);
    await database.write([{ table: 'a', id: '2', v: 'x' }]);
    await using one = startStream(first.source, first.cursor, first.snapshot.position);
    await using two = startStream(second.source, second.cursor, second.snapshot.position);
    await one.until(({ events }) => hasInsert(events, '2'));
    await two.until(({ events }) => hasInsert(events, '2'));
    expect(insertedIds(one.events)).toEqual(['1', '2']);
    expect(insertedIds(two.events)).toEqual(['2']);
  });

  test('the schema lists tables with their columns (R-77)', async () => {
    await using database = await createDatabase();
    await database.createTable('a');
    const source = database.open();
    try {
      const table = (await source.schema()).find(({ name }) => name === 'a');
      expect(table).toMatchObject({ source: source.tag, columns: expect.arrayContaining(['id', 'v']) });
      expect(table?.columnTypes).toHaveLength(table!.columns.length);
    } finally {
      await source.close();
    }
  });

  test('a database that is ready passes the check (R-11)', async () => {
    await using database = await createDatabase();
    const source = database.open();
    try {
      expect(await source.check()).toMatchObject({ ok: true, serverVersion: expect.any(String) });
    } finally {
      await source.close();
    }
  });
}
