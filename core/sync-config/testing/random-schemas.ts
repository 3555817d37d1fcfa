/** For tests: source schemas in which three tables are called, spelt and split up in many ways. */
import fc from 'fast-check';
import type { SourceTable, SqliteValue } from '../values.ts';
import { quotedName } from './sql-text.ts';

/** Tables and columns as the queries of tests mean them; a schema says what they are called. */
export const TABLES = ['items', 'lists', 'members'] as const;
export type TableName = (typeof TABLES)[number];
export const COLUMNS = ['id', 'ref', 'owner', 'n', 'tags', 'doc', 'bin'] as const;
export type ColumnName = (typeof COLUMNS)[number];

/** A source table; `holds` says which column of the queries each of its columns is, null for one that no query names. */
export interface HeldTable extends SourceTable {
  readonly holds: readonly (ColumnName | null)[];
}
/** What a query reads when it names the table (S-248…S-256, S-689). */
export interface Pattern {
  readonly source: string;
  readonly schema: string;
  readonly anySchema: boolean;
  readonly name: string;
  readonly wildcard: boolean;
}
export interface Schema {
  readonly tables: readonly HeldTable[];
  readonly patterns: Readonly<Record<TableName, Pattern>>;
  /** How queries write `«name»`: `items` in FROM, `items!` before a dot, `owner` as a column. */
  readonly written: Readonly<Record<string, string>>;
  /** What the source calls the column. */
  readonly columns: Readonly<Record<ColumnName, string>>;
}

/** The source tables that a pattern means; written from the documents, not from the code. */
export function tablesOf(pattern: Pattern, tables: readonly HeldTable[]): HeldTable[] {
  const system = (schema: string): boolean => schema.startsWith('pg_') || schema === 'information_schema';
  return tables.filter(({ source, schema, name }) => {
    if (source !== pattern.source) return false;
    const right = pattern.anySchema ? schema.startsWith(pattern.schema) && !system(schema) : schema === pattern.schema;
    return right && (pattern.wildcard ? name.startsWith(pattern.name) : name === pattern.name);
  });
}

interface Shape {
  readonly from: string;
  readonly qualifier: string;
  readonly pattern: Pattern;
  /** Schema and name of each source table. */
  readonly tables: readonly (readonly [schema: string, name: string])[];
}

const pattern = (schema: string, name: string, more: Partial<Pattern> = {}): Pattern => ({
  source: 'default',
  schema,
  anySchema: false,
  name,
  wildcard: false,
  ...more,
});
const capital = (name: string): string => name.slice(0, 1).toUpperCase() + name.slice(1);

const plainShape = (name: TableName): Shape => ({
  from: name,
  qualifier: name,
  pattern: pattern('public', name),
  tables: [['public', name]],
});
/** Ways to call one table of the queries. */
const SHAPES: readonly ((name: TableName) => Shape)[] = [
  plainShape,
  (name) => ({
    from: capital(name),
    qualifier: name.toUpperCase(),
    pattern: pattern('public', name),
    tables: [
      ['public', name],
      ['public', capital(name)],
    ],
  }),
  (name) => ({
    from: quotedName(capital(name)),
    qualifier: quotedName(capital(name)),
    pattern: pattern('public', capital(name)),
    tables: [
      ['public', capital(name)],
      ['public', name],
    ],
  }),
  (name) => ({
    from: `"App ""1""".${name}`,
    qualifier: name,
    pattern: pattern('App "1"', name),
    tables: [
      ['App "1"', name],
      ['public', name],
    ],
  }),
  (name) => ({
    from: `app."${name} ""of"" x'"`,
    qualifier: `"${name} ""of"" x'"`,
    pattern: pattern('app', `${name} "of" x'`),
    tables: [['app', `${name} "of" x'`]],
  }),
  (name) => ({
    from: `"${name}_%"`,
    qualifier: `"${name}_%"`,
    pattern: pattern('public', `${name}_`, { wildcard: true }),
    tables: [
      ['public', `${name}_x`],
      ['public', `${name}_y`],
      ['public', `${name}_`],
      ['public', name],
    ],
  }),
  (name) => ({
    from: `"tenant_%".${name}`,
    qualifier: name,
    pattern: pattern('tenant_', name, { anySchema: true }),
    tables: [
      ['tenant_x', name],
      ['tenant_y', name],
      ['public', name],
    ],
  }),
  (name) => ({
    from: `"%"."${capital(name)}%"`,
    qualifier: `"${capital(name)}%"`,
    pattern: pattern('', capital(name), { anySchema: true, wildcard: true }),
    tables: [
      ['x', `${capital(name)}x`],
      ['u', capital(name)],
      ['pg_temp', `${capital(name)}x`],
    ],
  }),
  (name) => ({
    from: `"other.public".${name}`,
    qualifier: name,
    pattern: pattern('public', name, { source: 'other' }),
    tables: [['public', name]],
  }),
];

/** Ways to call one column: by the source, and in queries. */
const SPELLINGS: readonly ((name: string) => readonly [source: string, written: string])[] = [
  (name) => [name, name],
  (name) => [name, name.toUpperCase()],
  (name) => [name, quotedName(name)],
  (name) => [capital(name), quotedName(capital(name))],
  (name) => [`${name} "of" x`, quotedName(`${name} "of" x`)],
  (name) => [`größe.${name}`, quotedName(`größe.${name}`)],
];

/** How the columns of one source table lie. */
interface Layout {
  readonly rotated: number;
  readonly missing: ColumnName | null;
  readonly extra: boolean;
}
const layout: fc.Arbitrary<Layout> = fc.record({
  rotated: fc.nat(COLUMNS.length - 1),
  missing: fc.option(fc.constantFrom<ColumnName>('ref', 'n', 'doc', 'bin'), { freq: 4 }),
  extra: fc.boolean(),
});

function tableOf(
  source: string,
  [schema, name]: readonly [string, string],
  { rotated, missing, extra }: Layout,
  columns: Schema['columns'],
): HeldTable {
  const present = COLUMNS.filter((column) => column !== missing);
  const holds: (ColumnName | null)[] = [...present.slice(rotated), ...present.slice(0, rotated)];
  if (extra) holds.splice(rotated, 0, null);
  return { source, schema, name, holds, columns: holds.map((held) => (held === null ? 'Extra "1"' : columns[held])) };
}

const mostly = <T>(items: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: items.length - 1, arbitrary: fc.constant(items[0] as T) },
    { weight: items.length - 1, arbitrary: fc.constantFrom(...items) },
  );

export interface SchemaParts {
  readonly shapes: readonly ((name: TableName) => Shape)[];
  readonly spellings: readonly (typeof SPELLINGS)[number][];
  readonly layouts: readonly Layout[];
}
export const schemaParts: fc.Arbitrary<SchemaParts> = fc.record({
  shapes: fc.tuple(...TABLES.map(() => mostly(SHAPES))),
  spellings: fc.tuple(...COLUMNS.map(() => mostly(SPELLINGS))),
  layouts: fc.array(layout, { minLength: 12, maxLength: 12 }),
});

/** `streamsOnly` false: without patterns of schemas, which bucket definitions do not have (S-689). */
export function schemaOf({ shapes, spellings, layouts }: SchemaParts, streamsOnly: boolean): Schema {
  const written: Record<string, string> = {};
  const columns = {} as Record<ColumnName, string>;
  for (const [at, column] of COLUMNS.entries()) {
    const [source, text] = spellings[at]?.(column) ?? [column, column];
    columns[column] = source;
    written[column] = text;
  }
  const patterns = {} as Record<TableName, Pattern>;
  const tables: HeldTable[] = [];
  for (const [at, name] of TABLES.entries()) {
    const chosen = (shapes[at] ?? plainShape)(name);
    const shape = chosen.pattern.anySchema && !streamsOnly ? plainShape(name) : chosen;
    patterns[name] = shape.pattern;
    written[name] = shape.from;
    written[`${name}!`] = shape.qualifier;
    for (const place of shape.tables) {
      const how = layouts[tables.length] ?? { rotated: 0, missing: null, extra: false };
      tables.push(tableOf(shape.pattern.source, place, how, columns));
    }
  }
  return { tables, patterns, written, columns };
}

/** Our text with the names of the schema. */
export function inSchema(text: string, { written }: Pick<Schema, 'written'>): string {
  return text.replaceAll(/«([^»]+)»/g, (_, name: string) => {
    const found = written[name];
    if (found === undefined) throw new Error(`no name for ${name}`);
    return found;
  });
}

/** A row by the columns of the queries; `null` is the column that no query names. */
export type Cells = Readonly<Record<ColumnName | 'extra', SqliteValue>>;
export const rowOf = (table: HeldTable, cells: Cells): SqliteValue[] =>
  table.holds.map((held) => cells[held ?? 'extra']);

// few different values, so that much matches; an alphabet says what these three letters are
const letter = fc.constantFrom('x', 'x', 'x', 'y', 'y', 'u');
const cell: fc.Arbitrary<SqliteValue> = fc.oneof(
  { weight: 14, arbitrary: letter },
  { weight: 1, arbitrary: fc.constantFrom<SqliteValue>('xy', 1n, 2n, 1, 1.5, null, '', '1') },
);
const id: fc.Arbitrary<SqliteValue> = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom('x', 'y', 'u', 'i1', 'i2', 'i3') },
  { weight: 2, arbitrary: fc.constantFrom<SqliteValue>(1n, 1, 1.5, null, 'é"\\') },
);
const element = fc.oneof(
  { weight: 12, arbitrary: letter },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(1, 1.5, null, true, ['x'], { a: 'x' }) },
);
const tags: fc.Arbitrary<SqliteValue> = fc.oneof(
  { weight: 8, arbitrary: fc.array(element, { minLength: 1, maxLength: 3 }).map((items) => JSON.stringify(items)) },
  { weight: 1, arbitrary: fc.constantFrom<SqliteValue>(null, '{"x":"y"}', '"x"', 'x', '[', 1n, ' ["x" , "y"] ', '[]') },
);
const doc: fc.Arbitrary<SqliteValue> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .record({ a: element, x: element, b: fc.record({ c: element }), list: fc.array(element, { maxLength: 2 }) })
      .map((value) => JSON.stringify(value)),
  },
  { weight: 1, arbitrary: fc.constantFrom<SqliteValue>(null, '["x"]', '{"a":', 'x', 1.5, '{"a":1.50,"a":"x"}') },
);
const bin: fc.Arbitrary<SqliteValue> = fc.constantFrom<SqliteValue>(
  new Uint8Array([120]),
  new Uint8Array([]),
  new Uint8Array([0, 255, 39]),
  'x',
  null,
  Number.POSITIVE_INFINITY,
);

export const cells: fc.Arbitrary<Cells> = fc.record({
  id,
  ref: cell,
  owner: cell,
  n: cell,
  tags,
  doc,
  bin,
  extra: fc.constantFrom<SqliteValue>('extra', null, 2n ** 62n + 1n, 0.1),
});

/** What x, y and u are in one scenario: so values that are equal though they look different, and null, meet often. */
export type Alphabet = readonly [x: SqliteValue, y: SqliteValue, u: SqliteValue];
export const alphabet: fc.Arbitrary<Alphabet> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Alphabet>(['x', 'y', 'u']) },
  {
    weight: 5,
    arbitrary: fc.constantFrom<Alphabet>(
      [1n, 1, 'x'],
      ['x', null, 1n],
      [1e18, 10n ** 18n, 'x'],
      ['1', 1n, 1.5],
      ['', 'x', null],
      ['é"\\', "it's", 'u'],
    ),
  },
);
const LETTERS = ['x', 'y', 'u'];
export function spell(value: SqliteValue, letters: Alphabet): SqliteValue {
  if (typeof value !== 'string') return value;
  const at = LETTERS.indexOf(value);
  return at >= 0 ? (letters[at] ?? null) : spellJson(value, letters);
}
/** Letters that are values in the JSON text. */
export function spellJson(json: string, letters: Alphabet): string {
  return json.replaceAll(/"([xyu])"(?!\s*:)/g, (_, letter: string) => {
    const value = letters[LETTERS.indexOf(letter)] ?? null;
    if (typeof value === 'number') return Number.isInteger(value) && value < 1e17 ? `${value}.0` : String(value);
    return typeof value === 'bigint' ? value.toString() : JSON.stringify(value);
  });
}
export function spellCells<T extends Partial<Cells>>(cells: T, letters: Alphabet): T {
  return Object.fromEntries(Object.entries(cells).map(([name, value]) => [name, spell(value, letters)])) as T;
}
