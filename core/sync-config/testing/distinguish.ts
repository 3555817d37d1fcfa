/** For tests: do two configs give different rows for some data? Asked of SQLite, with many small random tables and people. */
import { DatabaseSync } from 'node:sqlite';
import type { SqliteValue } from '../values.ts';
import type { Select } from '../sql/ast.ts';
import { METADATA, bindingName, bucketColumn, noNeeds, plainSelect, withCtes, type PlainNeeds } from './plain-sql.ts';
import type { QueryUnit } from './query-units.ts';
import { quotedName } from './sql-text.ts';

/** Statements that together give what the unit syncs; what they read is added to `needs`. */
function statementsOf(unit: QueryUnit, needs: PlainNeeds): string[] {
  if (unit.kind === 'stream') {
    const inside = { ctes: new Map<string, Select>(), legacy: false, needs };
    const ctes = new Map([...unit.ctes].map(([name, select]) => [name, plainSelect(select, inside)]));
    return [withCtes(ctes, plainSelect(unit.query, { ...inside, ctes: unit.ctes }))];
  }
  const plain = { ctes: new Map<string, Select>(), legacy: true, needs };
  const parameters = unit.parameters.map((select) => {
    const renamed = namesOf(select).map((name) => `${quotedName(name)} AS ${quotedName(bucketColumn(name))}`);
    return `SELECT ${['1 AS one', ...renamed].join(', ')} FROM (${plainSelect(select, plain)})`;
  });
  return unit.data.flatMap((select) =>
    (parameters.length === 0 ? ['SELECT 1'] : parameters).map((rows) =>
      withCtes(new Map([['buckets', rows]]), plainSelect(select, plain, ['buckets'])),
    ),
  );
}
/** Names of what it selects. */
function namesOf({ items }: Select): string[] {
  return items.flatMap((item) => {
    const name = item.kind === 'star' ? null : (item.alias ?? (item.expr.kind === 'column' ? item.expr.name : null));
    return name === null ? [] : [name.text];
  });
}

/** Numbers from 0 to below `below`; the same ones for the same seed. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Values near those that the queries name, so that comparisons come out either way. */
function poolOf(needs: PlainNeeds, database: DatabaseSync): SqliteValue[] {
  const pool: SqliteValue[] = ['v', 'w', 1n, null];
  for (const literal of needs.literals) {
    const statement = database.prepare(`SELECT ${literal} AS v`);
    statement.setReadBigInts(true);
    const value = statement.get()?.['v'] ?? null;
    pool.push(value, value);
    if (typeof value === 'bigint') pool.push(value + 1n, value - 1n);
    if (typeof value === 'number') pool.push(value + 1, value - 1);
    if (typeof value === 'string') pool.push(`${value}a`);
  }
  return pool;
}

interface Chance {
  readonly random: (below: number) => number;
  readonly pool: readonly SqliteValue[];
  readonly needs: PlainNeeds;
}
const one = <T>({ random }: Chance, items: readonly T[]): T => items[random(items.length)] as T;
const jsonable = (value: SqliteValue): unknown =>
  typeof value === 'bigint' ? Number(value) : value instanceof Uint8Array ? null : value;

function arrayText(chance: Chance): string {
  return JSON.stringify(Array.from({ length: chance.random(3) + 1 }, () => jsonable(one(chance, chance.pool))));
}
function documentOf(chance: Chance, depth = 0): Record<string, unknown> {
  const document: Record<string, unknown> = {};
  for (const key of chance.needs.keys) {
    let at = document;
    const steps = key.split(/[.[\]"$]+/).filter((step) => step !== '');
    for (const step of steps.slice(0, -1)) at = (at[step] ??= {}) as Record<string, unknown>;
    const last = steps.at(-1);
    if (last !== undefined && typeof at === 'object') at[last] = memberOf(chance, key, depth);
  }
  return document;
}
function memberOf(chance: Chance, key: string, depth: number): unknown {
  const kind = chance.random(4);
  if (chance.needs.arrays.has(key) || (kind === 0 && depth < 1)) return JSON.parse(arrayText(chance)) as unknown;
  return kind === 1 && depth < 1 ? documentOf(chance, depth + 1) : jsonable(one(chance, chance.pool));
}
/** A value of a column or parameter, by what it is read as. */
function valueOf(chance: Chance, name: string): SqliteValue {
  const odd = chance.random(12) === 0;
  if (chance.needs.arrays.has(name) && !odd) return arrayText(chance);
  if ((name === '*' || chance.needs.documents.has(name)) && !odd) return JSON.stringify(documentOf(chance));
  return one(chance, chance.pool);
}

function functionsFor(database: DatabaseSync): void {
  const text = (value: SqliteValue): string | null =>
    value === null ? null : typeof value === 'object' ? Buffer.from(value).toString('latin1') : String(value);
  const options = { deterministic: true, varargs: false };
  database.function('base64', options, (value: SqliteValue) =>
    text(value) === null ? null : Buffer.from(text(value) ?? '').toString('base64'),
  );
  for (const name of ['uuid_blob', 'st_x', 'st_y', 'st_astext', 'st_asgeojson']) {
    database.function(name, options, (value: SqliteValue) => (text(value) === null ? null : `${name} ${text(value)}`));
  }
  database.function('json_keys', options, (value: SqliteValue) => {
    if (typeof value !== 'string') return null;
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? JSON.stringify(Object.keys(parsed))
      : null;
  });
}

/** True when one of `tries` data sets tells them apart. Throws when SQLite cannot run one of them. */
export function distinguishable(one: QueryUnit, other: QueryUnit, tries: number, seed = 1): boolean {
  const needs = noNeeds();
  const texts = [statementsOf(one, needs), statementsOf(other, needs)];
  const database = new DatabaseSync(':memory:');
  try {
    functionsFor(database);
    const byFolded = new Map(
      [...needs.columns, 'id', '_row', '_table_suffix', ...Object.values(METADATA)].map((name) => [
        name.toLowerCase(),
        name,
      ]),
    );
    const columns = [...byFolded.values()];
    for (const table of needs.tables)
      database.exec(`CREATE TABLE ${quotedName(table)} (${columns.map(quotedName).join(', ')})`);
    const statements = texts.map((list) =>
      list.map((text) => {
        const statement = database.prepare(text);
        statement.setReadBigInts(true);
        statement.setAllowUnknownNamedParameters(true);
        return statement;
      }),
    );
    const random = randomNumbers(seed);
    const values = poolOf(needs, database);
    for (let at = 0; at < tries; at++) {
      // few values in one data set: much matches
      const pool = Array.from({ length: random(4) + 2 }, () => values[random(values.length)] ?? null);
      const chance: Chance = { random, pool, needs };
      fill(database, columns, chance);
      const bindings = Object.fromEntries(
        [...needs.parameters].map((parameter) => {
          const [scope = '', key = ''] = parameter.split(/ (.*)/s);
          return [bindingName(scope, key), valueOf(chance, key)];
        }),
      );
      const [left, right] = statements.map((list) => resultOf(list.flatMap((statement) => statement.all(bindings))));
      if (left !== right) return true;
    }
    return false;
  } finally {
    database.close();
  }
}

function fill(database: DatabaseSync, columns: readonly string[], chance: Chance): void {
  let row = 0;
  for (const table of chance.needs.tables) {
    database.exec(`DELETE FROM ${quotedName(table)}`);
    const insert = database.prepare(`INSERT INTO ${quotedName(table)} VALUES (${columns.map(() => '?').join(', ')})`);
    const count = chance.random(4) + 1;
    for (let at = 0; at < count; at++)
      insert.run(...columns.map((column) => (column === '_row' ? BigInt(++row) : valueOf(chance, column))));
  }
}

/** Rows as a set. */
function resultOf(rows: readonly Record<string, unknown>[]): string {
  const texts = rows.map((row) =>
    JSON.stringify(row, (_key, value: unknown) =>
      typeof value === 'bigint' ? `${value}n` : value instanceof Uint8Array ? [...value] : value,
    ),
  );
  return [...new Set(texts)].toSorted().join('\n');
}
