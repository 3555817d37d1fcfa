import type { ValueOptions } from '../../contract.ts';
import { fractionDigits, isoYear, postgresPrecision, withFraction } from '../../values/date-times.ts';

/**
 * Dates and times as text (S-285…S-287, S-302, S-43, S-48). The session's time zone is UTC and its DateStyle ISO, so Postgres sends
 * `2024-02-29 12:34:56.789` with an optional `+00` and an optional ` BC`, or `infinity`.
 *
 * In ISO form years outside 0000…9999 are written as ISO 8601 expands them, six digits with sign, 1 BC being year 0.
 */
export type FormatText = (text: string) => string;

/** `timestamptz` when `zoned`, `timestamp` otherwise. */
export function timestampFormatter(options: ValueOptions, zoned: boolean): FormatText {
  return options.timestampsIso8601
    ? isoTimestamp(fractionDigits(options, postgresPrecision), zoned)
    : plainTimestamp(zoned);
}

/** `time`; `timetz` is passed on as it is (wire/05). */
export function timeFormatter(options: ValueOptions): FormatText {
  if (!options.timestampsIso8601) return (text) => text;
  const digits = fractionDigits(options, postgresPrecision);
  return (text) => withFraction(text, digits);
}

function plainTimestamp(zoned: boolean): FormatText {
  const zone = zoned ? 'Z' : '';
  return (text) => {
    const infinite = infinity(text);
    if (infinite !== null) return `${infinite} ${infinite[0] === '9' ? '23:59:59' : '00:00:00'}${zone}`;
    if (!zoned) return text;
    const at = zoneStart(text);
    return at === -1 ? text : `${text.slice(0, at)}Z${text.endsWith(' BC') ? ' BC' : ''}`;
  };
}

function isoTimestamp(digits: number, zoned: boolean): FormatText {
  const zone = zoned ? 'Z' : '';
  return (text) => {
    const infinite = infinity(text);
    if (infinite !== null) {
      return `${infinite}T${withFraction(infinite[0] === '9' ? '23:59:59' : '00:00:00', digits)}${zone}`;
    }
    const space = text.indexOf(' ');
    if (space === -1) return text;
    const beforeChrist = text.endsWith(' BC');
    let end = beforeChrist ? text.length - 3 : text.length;
    if (zoned) {
      const at = zoneStart(text);
      if (at !== -1) end = at;
    }
    const date = space === 10 && !beforeChrist ? text.slice(0, 10) : isoDate(text.slice(0, space), beforeChrist);
    return `${date}T${withFraction(text.slice(space + 1, end), digits)}${zone}`;
  };
}

/** The date of infinity, or null for an ordinary value. */
function infinity(text: string): string | null {
  const first = text.charCodeAt(0);
  if (first === 105 /* i */) return '9999-12-31';
  if (first === 45 /* - */) return '0000-01-01';
  return null;
}

/** Where `+00` begins; -1 if there is none. The offset is behind the time, at least 8 characters after the date. */
function zoneStart(text: string): number {
  return text.indexOf('+', 10);
}

function isoDate(date: string, beforeChrist: boolean): string {
  const dash = date.indexOf('-');
  const year = Number(date.slice(0, dash));
  return isoYear(beforeChrist ? 1 - year : year) + date.slice(dash);
}
