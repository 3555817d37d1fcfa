import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isCodedError } from '#core/platform/errors/coded-error.ts';
import type { StreamEvent } from '../contract.ts';
import { createChangeReader, type ChangeReader } from './change-reader.ts';
import { createKnownTables } from './known-tables.ts';
import { createLayouts } from './layouts.ts';
import { formatPosition, positionZero } from './position.ts';
import { edition2 } from './testing.ts';
import { createTypeCatalog } from './types/catalog.ts';

function reader(
  events: StreamEvent[],
  start = positionZero,
  wanted = (name: string): boolean => name !== 'unwanted',
): ChangeReader {
  const catalog = createTypeCatalog(
    async () => [],
    async () => 180_000,
  );
  return createChangeReader({
    layouts: createLayouts({
      source: 'default',
      catalog,
      valueOptions: () => edition2,
      readColumns: () => null,
      blockBytes: () => 8_192,
    }),
    known: createKnownTables([]),
    start,
    isWanted: ({ name }) => wanted(name),
    emit: (event) => void events.push(event),
    unusable: () => undefined,
    unfit: () => undefined,
  });
}
const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const u64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
};
const letter = (text: string): Buffer => Buffer.from(text);
const begin = (lsn: bigint): Buffer => Buffer.concat([letter('B'), u64(lsn), u64(0n), u32(7)]);
const commit = (lsn: bigint, end: bigint): Buffer =>
  Buffer.concat([letter('C\0'), u64(lsn), u64(end), u64(1_000_000n)]);
const relation = (
  oid: number,
  name: string,
  columns: readonly [name: string, type: number, key: boolean][],
  identity = 'd',
): Buffer =>
  Buffer.concat([
    letter('R'),
    u32(oid),
    letter(`public\0${name}\0${identity}`),
    u16(columns.length),
    ...columns.map(([column, type, key]) =>
      Buffer.concat([Buffer.from([key ? 1 : 0]), letter(`${column}\0`), u32(type), u32(0xffffffff)]),
    ),
  ]);
const tuple = (values: readonly (string | null | undefined)[]): Buffer =>
  Buffer.concat([
    u16(values.length),
    ...values.map((value) => {
      if (value === null) return letter('n');
      if (value === undefined) return letter('u');
      return Buffer.concat([letter('t'), u32(Buffer.byteLength(value)), letter(value)]);
    }),
  ]);
const insert = (oid: number, values: readonly (string | null)[]): Buffer =>
  Buffer.concat([letter('I'), u32(oid), letter('N'), tuple(values)]);
const columns: [string, number, boolean][] = [
  ['id', 23, true],
  ['v', 25, false],
];

async function feed(target: ChangeReader, messages: readonly Buffer[]): Promise<void> {
  for (const message of messages) await target.read(message, 0, message.length);
}

test('a transaction without a wanted change is only a position (R-95)', async () => {
  const events: StreamEvent[] = [];
  const target = reader(events);
  await feed(target, [begin(100n), relation(1, 'unwanted', columns), insert(1, ['1', 'x']), commit(100n, 120n)]);
  expect(events).toEqual([]);
  await target.flushPassed();
  expect(events).toEqual([{ kind: 'keepalive', position: formatPosition(120n) }]);
});

test('a transaction whose commit lies before the start is skipped, one at the start is not', async () => {
  const events: StreamEvent[] = [];
  const target = reader(events, formatPosition(100n));
  await feed(target, [relation(1, 't', columns), begin(99n), insert(1, ['1', 'x']), commit(99n, 100n)]);
  expect(events).toEqual([]);
  await feed(target, [begin(100n), insert(1, ['2', 'x']), commit(100n, 120n)]);
  expect(events.map(({ kind }) => kind)).toEqual(['begin', 'table', 'insert', 'commit']);
});

test('keepalives are told between transactions only, and never go back', async () => {
  const events: StreamEvent[] = [];
  const target = reader(events);
  await feed(target, [relation(1, 't', columns), begin(100n)]);
  target.passed(formatPosition(90n));
  await target.flushPassed();
  expect(events).toEqual([]);
  await feed(target, [insert(1, ['1', 'x']), commit(100n, 120n)]);
  target.passed(formatPosition(110n));
  await target.flushPassed();
  expect(events.at(-1)).toMatchObject({
    kind: 'commit',
    position: formatPosition(120n),
    timeMs: Date.UTC(2000, 0, 1) + 1_000,
  });
  target.passed(formatPosition(130n));
  await target.flushPassed();
  await target.flushPassed();
  expect(events.slice(-2).map(({ kind }) => kind)).toEqual(['commit', 'keepalive']);
});

test('the same description again gives no event and the same object; other columns give a new object for the same table', async () => {
  const events: StreamEvent[] = [];
  const target = reader(events);
  const added: [string, number, boolean][] = [...columns, ['w', 25, false]];
  await feed(target, [
    begin(1n),
    relation(1, 't', columns),
    insert(1, ['1', 'x']),
    relation(1, 't', columns),
    insert(1, ['2', 'x']),
    relation(1, 't', added),
    insert(1, ['3', 'x', 'y']),
    commit(1n, 2n),
  ]);
  const tables = events.flatMap((event) => (event.kind === 'table' ? [event] : []));
  expect(tables).toHaveLength(2);
  expect(tables[1]).toMatchObject({ replaces: null, table: { columns: ['id', 'v', 'w'], relation: '1' } });
  expect(tables[1]!.table.identityText).toBe(tables[0]!.table.identityText);
  const inserts = events.flatMap((event) => (event.kind === 'insert' ? [event.table] : []));
  expect(inserts[0]).toBe(tables[0]!.table);
  expect(inserts[1]).toBe(tables[0]!.table);
  expect(inserts[2]).toBe(tables[1]!.table);
});

test('two tables that change names: rows of both are replaced', async () => {
  const events: StreamEvent[] = [];
  const target = reader(events);
  await feed(target, [
    begin(1n),
    relation(1, 'a', columns),
    insert(1, ['1', 'x']),
    relation(2, 'b', columns),
    insert(2, ['1', 'x']),
    commit(1n, 2n),
    begin(2n),
    relation(1, 'b', columns),
    insert(1, ['2', 'x']),
    relation(2, 'a', columns),
    insert(2, ['2', 'x']),
    commit(2n, 3n),
  ]);
  const described = events.map((event) => {
    if (event.kind === 'table')
      return `${event.table.relation}:${event.table.name} instead of ${event.replaces?.relation}:${event.replaces?.name}`;
    return event.kind === 'truncate' ? `truncate ${event.table.relation}:${event.table.name}` : event.kind;
  });
  expect(described).toEqual([
    'begin',
    '1:a instead of undefined:undefined',
    'insert',
    '2:b instead of undefined:undefined',
    'insert',
    'commit',
    'begin',
    'truncate 2:b',
    '1:b instead of 1:a',
    'insert',
    '2:a instead of undefined:undefined',
    'insert',
    'commit',
  ]);
});

test('any bytes are understood or refused with a code', async () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 60 }),
    fc
      .tuple(fc.constantFrom('B', 'C', 'O', 'R', 'Y', 'I', 'U', 'D', 'T', 'M'), fc.uint8Array({ maxLength: 60 }))
      .map(([type, rest]) => Buffer.concat([letter(type), rest])),
    // A valid message with some bytes changed.
    fc
      .tuple(
        fc.constantFrom(insert(1, ['12', 'text']), relation(1, 't', columns)),
        fc.array(fc.tuple(fc.nat(40), fc.integer({ min: 0, max: 255 })), { maxLength: 3 }),
      )
      .map(([message, changes]) => {
        const changed = Buffer.from(message);
        for (const [at, value] of changes) if (at < changed.length) changed[at] = value;
        return changed;
      }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(bytes, { maxLength: 8 }), async (messages) => {
      const target = reader([]);
      await feed(target, [relation(1, 't', columns)]);
      try {
        await feed(
          target,
          messages.map((message) => Buffer.from(message)),
        );
      } catch (error) {
        expect(isCodedError(error, 'PSYNC_S1101'), String(error)).toBe(true);
      }
    }),
    { numRuns: 2_000 },
  );
});
