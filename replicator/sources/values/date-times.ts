import type { ValueOptions } from '../contract.ts';

/**
 * Date-times as text, the same way for every source (S-43, S-48, S-49): the fraction is cut and padded, never rounded. What differs by
 * source is the number of digits and how the legacy form looks; what the sources send is their own business.
 */

/** Fraction digits of a source's date-times: without an option, and at most (S-49). */
export interface SourcePrecision {
  readonly standard: number;
  readonly maximum: number;
}

export const postgresPrecision: SourcePrecision = { standard: 6, maximum: 6 };
export const mongodbPrecision: SourcePrecision = { standard: 3, maximum: 3 };
export const mysqlPrecision: SourcePrecision = { standard: 3, maximum: 6 };
export const mssqlPrecision: SourcePrecision = { standard: 9, maximum: 9 };

const digitsOf = { seconds: 0, milliseconds: 3, microseconds: 6, nanoseconds: 9 } as const;

/** Fraction digits of ISO date-times. `timestamp_max_precision` counts only with `timestamps_iso8601` (S-50). */
export function fractionDigits(options: ValueOptions, { standard, maximum }: SourcePrecision): number {
  const asked = options.timestampMaxPrecision;
  return !options.timestampsIso8601 || asked === null ? standard : Math.min(digitsOf[asked], maximum);
}

/** `12:34:56` or `12:34:56.789` with exactly `digits` (0…9) digits of fraction: cut, never rounded. */
export function withFraction(time: string, digits: number): string {
  if (time.length <= 8) return digits === 0 ? time : `${time}.${'000000000'.slice(0, digits)}`;
  if (digits === 0) return time.slice(0, 8);
  const wanted = 9 + digits;
  return time.length >= wanted ? time.slice(0, wanted) : time + '000000000'.slice(0, wanted - time.length);
}

/** Years outside 0…9999 as ISO 8601 expands them: a sign and at least six digits; 0 is 1 BC. */
export function isoYear(year: number): string {
  if (year >= 0 && year <= 9999) return String(year).padStart(4, '0');
  return (year < 0 ? '-' : '+') + String(Math.abs(year)).padStart(6, '0');
}

/** `YYYY-MM-DD` of the proleptic Gregorian calendar, from days since 1970-01-01. Any day whose number is exact. */
export function isoDate(day: number): string {
  // Counted from 0000-03-01, so that the leap day is the last of its year; an era is 400 years.
  const shifted = day + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const dayOfMonth = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return `${isoYear(yearOfEra + era * 400 + (month <= 2 ? 1 : 0))}-${twoDigits[month]!}-${twoDigits[dayOfMonth]!}`;
}

const twoDigits = Array.from({ length: 100 }, (_, value) => String(value).padStart(2, '0'));
const threeDigits = Array.from({ length: 1_000 }, (_, value) => String(value).padStart(3, '0'));

/** `hh:mm:ss[.fraction]` of a time of day. `nanos`: beyond the millisecond, 0…999,999. */
export function timeOfDay(millisecondOfDay: number, nanos: number, digits: number): string {
  const milliseconds = millisecondOfDay % 1_000;
  const seconds = (millisecondOfDay - milliseconds) / 1_000;
  const second = seconds % 60;
  const minutes = (seconds - second) / 60;
  const minute = minutes % 60;
  const time = `${twoDigits[(minutes - minute) / 60]!}:${twoDigits[minute]!}:${twoDigits[second]!}`;
  if (digits === 0) return time;
  if (digits === 3) return `${time}.${threeDigits[milliseconds]!}`;
  return `${time}.${(threeDigits[milliseconds]! + String(nanos).padStart(6, '0')).slice(0, digits)}`;
}

/** Text of an instant in UTC, with `Z`. `nanos`: beyond the millisecond, 0…999,999. */
export type InstantFormatter = (day: number, millisecondOfDay: number, nanos: number) => string;

/** Remembers the day it wrote last: neighbouring values are often of the same day. */
export function createInstantFormatter(separator: 'T' | ' ', digits: number): InstantFormatter {
  let lastDay = Number.NaN;
  let lastDate = '';
  return (day, millisecondOfDay, nanos) => {
    if (day !== lastDay) {
      lastDate = isoDate(day) + separator;
      lastDay = day;
    }
    return `${lastDate}${timeOfDay(millisecondOfDay, nanos, digits)}Z`;
  };
}
