/**
 * What is known of the source's types: loaded once per type, on demand, over a side connection. Types that nothing is known of
 * (dropped meanwhile) are passed on as text.
 */
export type TypeInfo =
  /** Rendered from its text; `name` decides how (`int4`, `jsonb`, …). */
  | { readonly kind: 'base'; readonly name: string; readonly custom: boolean }
  | { readonly kind: 'enum' }
  | { readonly kind: 'domain'; readonly base: number }
  | { readonly kind: 'array'; readonly element: number; readonly delimiter: string }
  | {
      readonly kind: 'composite';
      readonly oid: number;
      readonly fields: readonly { readonly name: string; readonly type: number }[];
    }
  | { readonly kind: 'range'; readonly bound: number }
  | { readonly kind: 'multirange'; readonly range: number };

export interface TypeCatalog {
  /** Null when not loaded. */
  get(oid: number): TypeInfo | null;
  /** True when all of these, and everything they consist of, are loaded. */
  has(oids: Iterable<number>): boolean;
  /** Loads what is missing of these and of everything they consist of. */
  load(oids: Iterable<number>): Promise<void>;
  /** A value of this composite type had more members than are known of it (ALTER TYPE … ADD ATTRIBUTE). */
  outgrown(oid: number, members: number): void;
  /** True after `outgrown`, until `reload`. */
  readonly isOutdated: boolean;
  /** Loads the outgrown types again. A type that still does not fit is not tried again. */
  reload(): Promise<void>;
}

/** Runs one statement; rows as objects. */
export type RunQuery = <Row extends object>(sql: string, values: readonly unknown[]) => Promise<Row[]>;

/** Types of every server, so that ordinary tables need no query. Object ids of built-in types never change. */
const builtIn: ReadonlyMap<number, string> = new Map([
  [16, 'bool'],
  [17, 'bytea'],
  [18, 'char'],
  [19, 'name'],
  [20, 'int8'],
  [21, 'int2'],
  [23, 'int4'],
  [25, 'text'],
  [26, 'oid'],
  [114, 'json'],
  [700, 'float4'],
  [701, 'float8'],
  [1042, 'bpchar'],
  [1043, 'varchar'],
  [1082, 'date'],
  [1083, 'time'],
  [1114, 'timestamp'],
  [1184, 'timestamptz'],
  [1186, 'interval'],
  [1266, 'timetz'],
  [1700, 'numeric'],
  [2950, 'uuid'],
  [3802, 'jsonb'],
]);

/** `int8` comes as text. */
interface TypeRow {
  oid: string;
  typname: string;
  typtype: string;
  typbasetype: string;
  element: string | null;
  delimiter: string | null;
  fields: readonly { name: string; type: number }[] | null;
  bound: string | null;
  range: string | null;
}

export function createTypeCatalog(query: RunQuery, versionNumber: () => Promise<number>): TypeCatalog {
  const types = new Map<number, TypeInfo>();
  /** Composite types by the number of members that was seen. */
  const outgrown = new Map<number, number>();
  const tried = new Map<number, number>();
  for (const [oid, name] of builtIn) types.set(oid, { kind: 'base', name, custom: false });

  /** Types that a type consists of. */
  const parts = (type: TypeInfo): readonly number[] => {
    switch (type.kind) {
      case 'domain':
        return [type.base];
      case 'array':
        return [type.element];
      case 'composite':
        return type.fields.map((field) => field.type);
      case 'range':
        return [type.bound];
      case 'multirange':
        return [type.range];
      default:
        return [];
    }
  };
  const missing = (oids: Iterable<number>): number[] => {
    const seen = new Set<number>(oids);
    const unknown: number[] = [];
    for (const oid of seen) {
      const type = types.get(oid);
      if (type === undefined) unknown.push(oid);
      else for (const part of parts(type)) seen.add(part);
    }
    return unknown;
  };

  const load = async (oids: Iterable<number>): Promise<void> => {
    const wanted = [...oids];
    for (let unknown = missing(wanted); unknown.length > 0; unknown = missing(wanted)) {
      const rows = await query<TypeRow>(typesSql(await versionNumber()), [unknown]);
      for (const row of rows) types.set(Number(row.oid), typeInfo(row));
      for (const oid of unknown) if (!types.has(oid)) types.set(oid, { kind: 'base', name: '', custom: true });
    }
  };

  return {
    get: (oid) => types.get(oid) ?? null,
    has: (oids) => missing(oids).length === 0,
    load,
    outgrown(oid, members) {
      if ((tried.get(oid) ?? 0) < members) outgrown.set(oid, members);
    },
    get isOutdated() {
      return outgrown.size > 0;
    },
    async reload() {
      const oids = [...outgrown.keys()];
      for (const [oid, members] of outgrown) {
        tried.set(oid, members);
        types.delete(oid);
      }
      outgrown.clear();
      await load(oids);
    },
  };
}

/** First object id that the server gives to objects of users and extensions. */
const firstUserOid = 16_384;

function typeInfo(row: TypeRow): TypeInfo {
  if (row.element !== null) return { kind: 'array', element: Number(row.element), delimiter: row.delimiter ?? ',' };
  if (row.range !== null) return { kind: 'multirange', range: Number(row.range) };
  if (row.bound !== null) return { kind: 'range', bound: Number(row.bound) };
  if (row.typtype === 'd') return { kind: 'domain', base: Number(row.typbasetype) };
  if (row.typtype === 'e') return { kind: 'enum' };
  if (row.typtype === 'c') {
    return { kind: 'composite', oid: Number(row.oid), fields: row.fields ?? [] };
  }
  return { kind: 'base', name: row.typname, custom: Number(row.oid) >= firstUserOid };
}

/** Multiranges exist from version 14 on. */
function typesSql(versionNumber: number): string {
  const multirange =
    versionNumber >= 140_000
      ? `(SELECT r.rngtypid::int8 FROM pg_catalog.pg_range r WHERE r.rngmultitypid = t.oid)`
      : 'NULL::int8';
  return `
    SELECT t.oid::int8 AS oid, t.typname, t.typtype::text AS typtype, t.typbasetype::int8 AS typbasetype,
           e.oid::int8 AS element, e.typdelim::text AS delimiter,
           (SELECT json_agg(json_build_object('name', a.attname, 'type', a.atttypid::int8) ORDER BY a.attnum)
              FROM pg_catalog.pg_attribute a
             WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS fields,
           (SELECT r.rngsubtype::int8 FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid) AS bound,
           ${multirange} AS range
      FROM pg_catalog.pg_type t
      LEFT JOIN pg_catalog.pg_type e ON e.typarray = t.oid
     WHERE t.oid = ANY ($1::oid[])`;
}
