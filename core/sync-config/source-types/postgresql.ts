/** Postgres (S-278…S-300). */
import type { TypeMapping } from './contract.ts';
import { plainTypeName, typeTable, valueType } from './type-names.ts';

/** Every other type is text: S-278, S-280, S-283…S-291, S-293…S-300. A domain is of its inner type only with S-46, and text always fits. */
const becomes = typeTable([
  [['int2', 'int4', 'int8'], 'integer'], // S-279
  [['bool'], 'integer'], // S-281
  [['float4', 'float8'], 'real'], // S-282
  [['bytea'], 'blob'], // S-292
  // not in the chapter: a number that Postgres prints as one
  [['oid'], 'integer'],
]);

/** Names of `format_type` and of SQL that differ from those of the catalog. */
const CATALOG_NAMES: ReadonlyMap<string, string> = new Map([
  ['smallint', 'int2'],
  ['integer', 'int4'],
  ['int', 'int4'],
  ['bigint', 'int8'],
  ['decimal', 'numeric'],
  ['boolean', 'bool'],
  ['real', 'float4'],
  ['double precision', 'float8'],
  ['character varying', 'varchar'],
  ['character', 'bpchar'],
  ['bit varying', 'varbit'],
  ['time without time zone', 'time'],
  ['time with time zone', 'timetz'],
  ['timestamp without time zone', 'timestamp'],
  ['timestamp with time zone', 'timestamptz'],
]);

interface TypeName {
  readonly name: string;
  /** Made by users or extensions: quoted, or with a schema that is not the system's. Its name says nothing. */
  readonly custom: boolean;
  readonly array: boolean;
}

export const postgresqlType: TypeMapping = (typeName) => {
  const { name, custom, array } = read(typeName);
  if (name === '') return null;
  return array || custom ? 'text' : (valueType(becomes(name)) ?? 'text');
};

/** `pg_type.typname` of a type as `format_type` writes it: `timestamptz` for `timestamp(3) with time zone`, `_text` for `text[]`. */
export function catalogName(typeName: string): string {
  const { name, array } = read(typeName);
  return array ? `_${name}` : name;
}

/** `schema.name(parameters)[]`, where schema and name may stand in quotes. */
const QUALIFIED = /^(?:("(?:[^"]|"")*"|[^".(]+)\.)?("(?:[^"]|"")*"|[^"]*?)((?:\s*\[\d*\])*)$/;

function read(typeName: string): TypeName {
  const [, schema, own = typeName, brackets = ''] = QUALIFIED.exec(typeName.trim()) ?? [];
  const array = brackets !== '';
  const isSystem = schema === undefined || schema.toLowerCase() === 'pg_catalog';
  // The one type of the system that is written in quotes, unlike `char`, which is `bpchar`.
  if (own === '"char"' && isSystem) return { name: 'char', custom: false, array };
  if (own.startsWith('"')) return { name: own.slice(1, -1).replaceAll('""', '"'), custom: true, array };
  const plain = plainTypeName(own).replace(/^interval .*/, 'interval');
  return { name: CATALOG_NAMES.get(plain) ?? plain, custom: !isSystem, array };
}
