/**
 * Values of SQL Server as SQLite values (S-344…S-361, R-252).
 *
 * Input is what `mssql` on `tedious` gives with its defaults (`useUTC`): numbers, `bigint` as a string of digits, dates as `Date` with
 * `nanosecondsDelta` for the digits behind the millisecond, binary as `Buffer`, `geometry` and `geography` as objects. The driver makes
 * doubles of decimals and money, which loses digits; so queries, those on change tables too, select columns through `selectExpression`.
 *
 * Decided where the table is silent: date-times have a `T` and nine digits with and without `timestamps_iso8601` (the table has no other form,
 * S-356; S-49); without a time zone they count as UTC. `timestamp` is `rowversion`, a blob (question 7). Identifiers are upper-case, as SQL Server prints them.
 */
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { SourceRow, SqliteValue } from '#core/sync-config/values.ts';
import type { ValueOptions } from '../contract.ts';
import { createInstantFormatter, fractionDigits, isoDate, mssqlPrecision, timeOfDay } from '../values/date-times.ts';
import { faultOfValues, type RowFault } from '../values/row-fault.ts';

export interface MssqlColumn {
  readonly name: string;
  /** Name of the system type in `sys.types`; for alias types that of their base. */
  readonly type: string;
  /** `sys.columns.scale`: digits behind the point of decimals. */
  readonly scale: number;
}

/** tedious defines the property on the dates it makes: seconds beyond the millisecond, below 0.001. */
export type MssqlDate = Date & { readonly nanosecondsDelta?: number };

export type MssqlValue = null | undefined | string | number | bigint | boolean | MssqlDate | Uint8Array | object;

/** SQL of a column that gives its value without loss. `reference`: the quoted name, with an alias of the table if it has one. */
export function selectExpression({ type }: Pick<MssqlColumn, 'type'>, reference: string): string {
  switch (type) {
    case 'decimal':
    case 'numeric':
      return `CONVERT(varchar(41), ${reference})`;
    case 'money':
    case 'smallmoney':
      // Style 2: all four digits behind the point.
      return `CONVERT(varchar(41), ${reference}, 2)`;
    case 'sql_variant':
      return `CONVERT(nvarchar(4000), ${reference})`;
    default:
      return reference;
  }
}

/** Rows of a table; a fault when one may not be replicated. `values` in the order of `columns`. */
export function createMssqlRowReader(
  columns: readonly MssqlColumn[],
  options: ValueOptions,
): (values: readonly MssqlValue[]) => SourceRow | RowFault {
  const names = columns.map(({ name }) => name);
  const decoders = columns.map((column) => mssqlDecoder(column, options));
  const json = columns.flatMap(({ type }, index) => (type === 'json' ? [index] : []));
  return (values) => {
    const row = decoders.map((decode, index) => decode(values[index]));
    return faultOfValues(names, json, row) ?? row;
  };
}

type Decode = (value: MssqlValue) => SqliteValue;

/** How the values of one column become SQLite values. */
export function mssqlDecoder(column: MssqlColumn, options: ValueOptions): Decode {
  const decode = decoderOf(column, options);
  return (value) => (value === null || value === undefined ? null : decode(value));
}

function decoderOf(column: MssqlColumn, options: ValueOptions): Decode {
  const digits = fractionDigits(options, mssqlPrecision);
  switch (column.type) {
    case 'tinyint':
    case 'smallint':
    case 'int':
    case 'bigint':
      return (value) => BigInt(value as string | number | bigint);
    case 'bit':
      return (value) => (value === true || value === 1 ? 1n : 0n);
    case 'float':
    case 'real':
      return (value) => Number(value);
    case 'decimal':
    case 'numeric':
      return (value) => decimalText(value, column.scale);
    case 'money':
    case 'smallmoney':
      return (value) => decimalText(value, 4);
    case 'date':
      return onDate((date) => isoDate(dayOf(date)));
    case 'time':
      return onDate((date) => timeOfDay(millisecondOfDay(date), nanosOf(date), digits));
    case 'datetime':
    case 'datetime2':
    case 'smalldatetime':
    case 'datetimeoffset': {
      const format = createInstantFormatter('T', digits);
      return onDate((date) => format(dayOf(date), millisecondOfDay(date), nanosOf(date)));
    }
    case 'geometry':
    case 'geography':
      return (value) => (value instanceof Uint8Array ? value : JSON.stringify(value));
    default:
      // Character types, xml, json, uniqueidentifier; binary types, rowversion, hierarchyid.
      return otherValue;
  }
}

function otherValue(value: MssqlValue): SqliteValue {
  if (typeof value === 'string' || value instanceof Uint8Array) return value;
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'bigint' || typeof value === 'number') return String(value);
  return value instanceof Date ? value.toISOString() : JSON.stringify(value);
}

/** A number only where its digits are certain; else the query lost some. */
function decimalText(value: MssqlValue, scale: number): string {
  if (typeof value === 'number' && Math.abs(value) * 10 ** scale < 1e15) return value.toFixed(scale);
  if (typeof value === 'string') return value;
  throw codedError(
    'PSYNC_S1120',
    'A decimal of SQL Server was read as a floating point number: select it with selectExpression.',
  );
}

function onDate(format: (date: MssqlDate) => string): Decode {
  return (value) => (value instanceof Date ? format(value) : otherValue(value));
}

const dayMs = 86_400_000;
const dayOf = (date: Date): number => Math.floor(date.getTime() / dayMs);
const millisecondOfDay = (date: Date): number => date.getTime() - dayOf(date) * dayMs;
const nanosOf = ({ nanosecondsDelta = 0 }: MssqlDate): number => Math.round(nanosecondsDelta * 1e9);
