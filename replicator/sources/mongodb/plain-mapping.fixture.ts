/**
 * The mapping of MongoDB written down plainly, over what the `bson` library reads: what the fast reader is compared with, and measured
 * against. Fields whose names are whole numbers come out of order, because JavaScript orders them.
 */
import {
  type Binary,
  BSONRegExp,
  BSONSymbol,
  type Code,
  type DBRef,
  deserialize,
  type Decimal128,
  type Double,
  type Int32,
  type Long,
  MaxKey,
  MinKey,
  ObjectId,
  type Timestamp,
} from 'bson';
import { renderValue } from '#core/sync-config/evaluate/output.ts';
import type { SqliteValue } from '#core/sync-config/values.ts';
import type { ValueOptions } from '../contract.ts';

export function readPlainly(bytes: Uint8Array, options: ValueOptions): Map<string, SqliteValue> {
  const document = deserialize(bytes, {
    promoteValues: false,
    promoteLongs: false,
    promoteBuffers: false,
    bsonRegExp: true,
    validation: { utf8: false },
  });
  return new Map(Object.entries(document).map(([name, value]) => [name, plainValue(value, options)]));
}

function plainValue(value: unknown, options: ValueOptions): SqliteValue {
  const scalar = plainScalar(value, options);
  return scalar === undefined ? plainJson(value, options) : scalar;
}

/** Undefined for what becomes JSON. */
function plainScalar(value: unknown, options: ValueOptions): SqliteValue | undefined {
  if (value === null || value === undefined || value instanceof MinKey || value instanceof MaxKey) return null;
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (value instanceof Date) {
    const iso = value.toISOString();
    const digits = options.timestampMaxPrecision === 'seconds' && options.timestampsIso8601 ? 'Z' : iso.slice(-5);
    return iso.slice(0, -5).replace('T', options.timestampsIso8601 ? 'T' : ' ') + digits;
  }
  if (value instanceof ObjectId) return value.toHexString();
  if (value instanceof BSONSymbol) return value.value;
  switch ((value as { _bsontype?: string })._bsontype) {
    case 'Double':
      return (value as Double).value;
    case 'Int32':
      return BigInt((value as Int32).value);
    case 'Long':
      return (value as Long).toBigInt();
    case 'Timestamp': {
      const unsigned = (value as Timestamp).toBigInt();
      return unsigned < 2n ** 63n ? unsigned : String(unsigned);
    }
    case 'Decimal128':
      return (value as Decimal128).toString();
    case 'Binary': {
      const binary = value as Binary;
      const hex = binary.toString('hex');
      if (binary.sub_type !== 4 || hex.length !== 32) return Buffer.from(binary.value());
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    }
    default:
      return undefined;
  }
}

/** Written out by hand, because JSON.stringify knows neither bigint nor reals. */
function plainJson(value: unknown, options: ValueOptions): string {
  if (Array.isArray(value)) {
    return `[${value.map((element) => plainMember(element, options) ?? 'null').join(',')}]`;
  }
  const members = Object.entries(plainObject(value)).flatMap(([name, member]) => {
    const json = plainMember(member, options);
    return json === null ? [] : [`${JSON.stringify(name)}:${json}`];
  });
  return `{${members.join(',')}}`;
}

function plainObject(value: unknown): object {
  if (value instanceof BSONRegExp) return { pattern: value.pattern, options: value.options };
  switch ((value as { _bsontype?: string })._bsontype) {
    case 'Code': {
      const { code, scope } = value as Code;
      return { code, scope };
    }
    case 'DBRef': {
      const reference = value as DBRef;
      const namespace = reference.db === undefined ? reference.collection : `${reference.db}.${reference.collection}`;
      const [, db = null, collection] = /^(?:([^.]*)\.)?(.*)$/s.exec(namespace)!;
      return { collection, oid: reference.oid, db, fields: reference.fields };
    }
    default:
      return value as object;
  }
}

/** Null: left out. */
function plainMember(value: unknown, options: ValueOptions): string | null {
  const scalar = plainScalar(value, options);
  if (scalar === undefined) return plainJson(value, options);
  return scalar instanceof Uint8Array ? null : renderValue(scalar);
}
