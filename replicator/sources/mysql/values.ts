/**
 * Values of MySQL as SQLite values (S-324…S-343, R-251), from their text: what the text protocol sends for a column, as bytes. With `mysql2`
 * that is `query({ sql, rowsAsArray: true, typeCast: (field) => field.buffer() })`, on a connection with character set utf8mb4, `time_zone`
 * '+00:00' and an empty `sql_mode`, columns selected through `selectExpression`. Rows of the binlog come out the same (row-image.ts).
 *
 * Decided where the table is silent:
 * - Date-times look the same with and without `timestamps_iso8601`. Zero dates and parts keep their zeros: `0000-00-00T00:00:00.000Z`.
 * - `time` is a span of up to 838 hours with a sign: `[-]hh:mm:ss[.fraction]` with the digits of the column, or exactly those of
 *   `timestamp_max_precision` (questions 4 and 6).
 * - An unsigned `bigint` above 2^63 - 1 is text of its digits: never a negative number, and above all integers in comparisons.
 * - Spatial values have MySQL's own form: four bytes of SRID, then WKB.
 * - `float` is the shortest number that means the stored one: 0.1 is 0.1, as Postgres has it.
 */
import type { SourceRow, SqliteValue } from '#core/sync-config/values.ts';
import type { ValueOptions } from '../contract.ts';
import { fractionDigits, mysqlPrecision, withFraction } from '../values/date-times.ts';
import { faultOfValues, type RowFault } from '../values/row-fault.ts';

/** A column as `information_schema.COLUMNS` describes it. */
export interface MysqlColumn {
  readonly name: string;
  /** DATA_TYPE, lower-case: `varchar`, `bigint`. */
  readonly type: string;
  /** COLUMN_TYPE: `bigint unsigned`, `set('a','b')`, `binary(4)`. */
  readonly fullType: string;
  /** CHARACTER_SET_NAME; null for what is no text. */
  readonly charset: string | null;
}

/** SQL of a column that gives its value without loss. `reference`: the quoted name. */
export function selectExpression({ type }: Pick<MysqlColumn, 'type'>, reference: string): string {
  // Of a float MySQL prints six digits, of a double all.
  return type === 'float' ? `(${reference} + 0E0)` : reference;
}

/** Rows of a table; a fault when one may not be replicated. `texts` in the order of `columns`. */
export function createMysqlRowReader(
  columns: readonly MysqlColumn[],
  options: ValueOptions,
): (texts: readonly (Buffer | null)[]) => SourceRow | RowFault {
  const names = columns.map(({ name }) => name);
  const decoders = columns.map((column) => textDecoder(column, options));
  const json = jsonColumns(columns);
  return (texts) => {
    const row = decoders.map((decode, index) => {
      const bytes = texts[index] ?? null;
      return bytes === null ? null : decode(bytes);
    });
    return faultOfValues(names, json, row) ?? row;
  };
}

/** Indexes of the columns whose texts are JSON. */
export function jsonColumns(columns: readonly MysqlColumn[]): readonly number[] {
  return columns.flatMap(({ type }, index) => (type === 'json' ? [index] : []));
}

/** How the text of one column becomes a SQLite value. The value holds nothing of `bytes`. */
export function textDecoder(
  { type }: Pick<MysqlColumn, 'type'>,
  options: ValueOptions,
): (bytes: Buffer) => SqliteValue {
  switch (type) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
      return (bytes) => integerValue(BigInt(ascii(bytes)));
    case 'decimal':
      return (bytes) => decimalValue(ascii(bytes));
    case 'float':
      return (bytes) => floatValue(Number(ascii(bytes)));
    case 'double':
      return (bytes) => Number(ascii(bytes));
    case 'set':
      return (bytes) => setValue(bytes.toString('utf8'));
    case 'timestamp':
    case 'datetime': {
      const format = dateTimeFormatter(options);
      return (bytes) => format(ascii(bytes));
    }
    case 'time': {
      const format = timeFormatter(options);
      return (bytes) => format(ascii(bytes));
    }
    case 'char':
    case 'varchar':
    case 'tinytext':
    case 'text':
    case 'mediumtext':
    case 'longtext':
    case 'enum':
    case 'json':
    case 'date':
    case 'year':
      return (bytes) => bytes.toString('utf8');
    default:
      // Binary and blob types, bit, spatial types, vector.
      return blobValue;
  }
}

const ascii = (bytes: Buffer): string => bytes.toString('latin1');

/** A copy: the bytes of a packet are used again. */
export function blobValue(bytes: Buffer): Uint8Array {
  return Uint8Array.prototype.slice.call(bytes);
}

const largestInteger = 0x7fff_ffff_ffff_ffffn;

/** Unsigned values beyond 64 bits with sign as text. */
export function integerValue(value: bigint): bigint | string {
  return value > largestInteger ? value.toString() : value;
}

/** Without the zeros that `zerofill` puts in front. */
export function decimalValue(text: string): string {
  return /^-?0\d/.test(text) ? text.replace(/^(-?)0+(?=\d)/, '$1') : text;
}

/** The number with the fewest digits, six at least, that is stored as the same 32 bits. Zero has no sign: `selectExpression` drops it. */
export function floatValue(value: number): number {
  const stored = Math.fround(value);
  if (stored === 0) return 0;
  for (let digits = 6; digits < 9; digits += 1) {
    const short = Number(stored.toPrecision(digits));
    if (Math.fround(short) === stored) return short;
  }
  return Number(stored.toPrecision(9));
}

/** Members of a set never hold commas. */
export function setValue(members: string): string {
  return members === '' ? '[]' : JSON.stringify(members.split(','));
}

/** From `YYYY-MM-DD hh:mm:ss[.fraction]`, of datetime and timestamp. */
export function dateTimeFormatter(options: ValueOptions): (text: string) => string {
  const digits = fractionDigits(options, mysqlPrecision);
  return (text) => `${text.slice(0, 10)}T${withFraction(text.slice(11), digits)}Z`;
}

/** From `[-]hh:mm:ss[.fraction]`, with hours up to 838. */
export function timeFormatter(options: ValueOptions): (text: string) => string {
  if (!options.timestampsIso8601 || options.timestampMaxPrecision === null) return (text) => text;
  const digits = fractionDigits(options, mysqlPrecision);
  return (text) => {
    // What comes before the last 8 characters of the whole seconds: the sign, and a third digit of the hours.
    const point = text.indexOf('.');
    const lead = (point === -1 ? text.length : point) - 8;
    return text.slice(0, lead) + withFraction(text.slice(lead), digits);
  };
}
