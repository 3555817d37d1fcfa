/**
 * `datetime` and `unixepoch` (S-194, S-195): SQLite's date functions with an explicit time. Text "now" gives null:
 * expressions must not depend on when they run (S-120, S-202).
 */
import type { PlanExpr } from '../plan.ts';
import type { SqliteValue } from '../values.ts';
import type { FunctionProblem } from './functions.ts';
import { isSpace, numericValue, valueToText } from './numbers.ts';

/** A moment as SQLite keeps it: as read, and as milliseconds of the Julian day, whichever is valid. */
interface Moment {
  julianMs: number;
  validJulian: boolean;
  year: number;
  month: number;
  day: number;
  validDate: boolean;
  hour: number;
  minute: number;
  second: number;
  validTime: boolean;
  timeZoneMinutes: number;
  /** A number that may still turn out to be Unix time. */
  raw: number | null;
  subsecond: boolean;
}

const MAX_JULIAN_MS = 464269060799999;
const UNIX_EPOCH_JULIAN_MS = 210866760000000;
const DAY_MS = 86400000;
const div = (a: number, b: number): number => Math.trunc(a / b);

function emptyMoment(): Moment {
  const date = { year: 0, month: 0, day: 0, validDate: false };
  const time = { hour: 0, minute: 0, second: 0, validTime: false, timeZoneMinutes: 0 };
  return { julianMs: 0, validJulian: false, ...date, ...time, raw: null, subsecond: false };
}

/** Digits of a fixed count within limits, or -1. */
function digits(text: string, at: number, count: number, minimum: number, maximum: number): number {
  let value = 0;
  for (let index = at; index < at + count; index++) {
    const code = text.charCodeAt(index);
    if (!(code >= 48 && code <= 57)) return -1;
    value = value * 10 + code - 48;
  }
  return value < minimum || value > maximum ? -1 : value;
}
function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && isSpace(text.charCodeAt(at))) at++;
  return at;
}

/** `[-]YYYY-MM-DD`, then optionally a time. */
function readDate(text: string, moment: Moment): boolean {
  const start = text.startsWith('-') ? 1 : 0;
  const year = digits(text, start, 4, 0, 9999);
  const month = digits(text, start + 5, 2, 1, 12);
  const day = digits(text, start + 8, 2, 1, 31);
  if (year < 0 || month < 0 || day < 0 || text[start + 4] !== '-' || text[start + 7] !== '-') return false;
  let at = start + 10;
  while (at < text.length && (isSpace(text.charCodeAt(at)) || text[at] === 'T')) at++;
  if (at < text.length && !readTime(text, at, moment)) return false;
  moment.year = start === 1 ? -year : year;
  moment.month = month;
  moment.day = day;
  moment.validDate = true;
  if (moment.timeZoneMinutes !== 0) computeJulian(moment);
  return true;
}

/** `HH:MM[:SS[.SSS]]` with an optional time zone, to the end of the text. */
function readTime(text: string, start: number, moment: Moment): boolean {
  const hour = digits(text, start, 2, 0, 24);
  const minute = digits(text, start + 3, 2, 0, 59);
  if (hour < 0 || minute < 0 || text[start + 2] !== ':') return false;
  let at = start + 5;
  let second = 0;
  if (text[at] === ':') {
    second = digits(text, at + 1, 2, 0, 59);
    if (second < 0) return false;
    at += 3;
    if (text[at] === '.' && digits(text, at + 1, 1, 0, 9) >= 0) {
      let fraction = 0;
      let scale = 1;
      for (at++; digits(text, at, 1, 0, 9) >= 0; at++) {
        fraction = fraction * 10 + digits(text, at, 1, 0, 9);
        scale *= 10;
      }
      second += Math.min(fraction / scale, 0.999);
    }
  }
  const zone = readTimeZone(text, at);
  if (zone === null) return false;
  Object.assign(moment, { hour, minute, second, validTime: true, timeZoneMinutes: zone });
  return true;
}

/** Minutes east of UTC; null when the rest of the text is no time zone. */
function readTimeZone(text: string, start: number): number | null {
  let at = skipSpace(text, start);
  const sign = text[at];
  let minutes = 0;
  if (sign === 'Z' || sign === 'z') {
    at++;
  } else if (sign === '+' || sign === '-') {
    const hour = digits(text, at + 1, 2, 0, 14);
    const minute = digits(text, at + 4, 2, 0, 59);
    if (hour < 0 || minute < 0 || text[at + 3] !== ':') return null;
    minutes = (sign === '-' ? -1 : 1) * (hour * 60 + minute);
    at += 6;
  }
  return skipSpace(text, at) === text.length ? minutes : null;
}

function setNumber(moment: Moment, value: number): void {
  moment.raw = value;
  moment.second = value;
  if (value >= 0 && value < 5373484.5) {
    moment.julianMs = Math.trunc(value * 86400000 + 0.5);
    moment.validJulian = true;
  }
}

/** False when the moment is impossible. */
function computeJulian(moment: Moment): boolean {
  if (moment.validJulian) return true;
  if (moment.raw !== null) return false;
  const { day } = moment.validDate ? moment : { day: 1 };
  let { year, month } = moment.validDate ? moment : { year: 2000, month: 1 };
  if (year < -4713 || year > 9999) return false;
  if (month <= 2) {
    year--;
    month += 12;
  }
  const century = div(year + 4800, 100);
  const correction = 38 - century + div(century, 4);
  const yearDays = div(36525 * (year + 4716), 100);
  const monthDays = div(306001 * (month + 1), 10000);
  moment.julianMs = Math.trunc((yearDays + monthDays + day + correction - 1524.5) * DAY_MS);
  moment.validJulian = true;
  if (moment.validTime) {
    moment.julianMs += moment.hour * 3600000 + moment.minute * 60000 + Math.trunc(moment.second * 1000 + 0.5);
    if (moment.timeZoneMinutes !== 0) {
      moment.julianMs -= moment.timeZoneMinutes * 60000;
      moment.validDate = false;
      moment.validTime = false;
      moment.timeZoneMinutes = 0;
    }
  }
  return true;
}

function computeDateAndTime(moment: Moment): void {
  if (!moment.validDate) {
    const days = div(moment.julianMs + DAY_MS / 2, DAY_MS);
    const alpha = Math.trunc((days + 32044.75) / 36524.25) - 52;
    const a = days + 1 + alpha - div(alpha + 100, 4) + 25;
    const b = a + 1524;
    const c = Math.trunc((b - 122.1) / 365.25);
    const d = div(36525 * (c & 32767), 100);
    const e = Math.trunc((b - d) / 30.6001);
    moment.day = b - d - Math.trunc(30.6001 * e);
    moment.month = e < 14 ? e - 1 : e - 13;
    moment.year = moment.month > 2 ? c - 4716 : c - 4715;
  }
  if (!moment.validTime) {
    const dayMs = (moment.julianMs + DAY_MS / 2) % DAY_MS;
    moment.second = (dayMs % 60000) / 1000;
    moment.minute = div(dayMs, 60000) % 60;
    moment.hour = div(dayMs, 3600000);
  }
}

/** Null when the time value or a modifier is not understood. */
function readMoment(value: SqliteValue, modifiers: readonly SqliteValue[]): Moment | null {
  if (value === null) return null;
  const moment = emptyMoment();
  if (typeof value === 'bigint' || typeof value === 'number') {
    setNumber(moment, Number(value));
  } else {
    const text = valueToText(value);
    if (!readDate(text, moment) && !readTime(text, 0, Object.assign(moment, emptyMoment()))) {
      const number = numericValue(text);
      if (number === null) return null;
      setNumber(Object.assign(moment, emptyMoment()), number);
    }
  }
  for (const [index, modifier] of modifiers.entries()) {
    if (modifier === null || !applyModifier(moment, valueToText(modifier).toLowerCase(), index)) return null;
  }
  if (!computeJulian(moment) || moment.julianMs < 0 || moment.julianMs > MAX_JULIAN_MS) return null;
  // 2023-02-31 is read as 2023-03-03
  if (modifiers.length === 0 && moment.validDate && moment.day > 28) moment.validDate = false;
  return moment;
}

function applyModifier(moment: Moment, modifier: string, index: number): boolean {
  if (modifier === 'subsec' || modifier === 'subsecond') {
    moment.subsecond = true;
    return true;
  }
  if (modifier !== 'unixepoch' || moment.raw === null || index > 0) return false;
  const julian = moment.raw * 1000 + UNIX_EPOCH_JULIAN_MS;
  if (!(julian >= 0 && julian < MAX_JULIAN_MS + 1)) return false;
  Object.assign(moment, { ...emptyMoment(), julianMs: Math.trunc(julian + 0.5), validJulian: true });
  return true;
}

const pad = (value: number, width: number): string => String(value).padStart(width, '0');
const given = (...modifiers: (SqliteValue | undefined)[]): SqliteValue[] =>
  modifiers.filter((item) => item !== undefined);

/** `YYYY-MM-DD HH:MM:SS[.SSS]`. */
export function datetime(value: SqliteValue, first?: SqliteValue, second?: SqliteValue): SqliteValue {
  const moment = readMoment(value, given(first, second));
  if (moment === null) return null;
  computeDateAndTime(moment);
  const date = `${moment.year < 0 ? '-' : ''}${pad(Math.abs(moment.year), 4)}-${pad(moment.month, 2)}-${pad(moment.day, 2)}`;
  const time = `${pad(moment.hour, 2)}:${pad(moment.minute, 2)}`;
  if (!moment.subsecond) return `${date} ${time}:${pad(Math.trunc(moment.second), 2)}`;
  const ms = Math.trunc(1000 * moment.second + 0.5);
  return `${date} ${time}:${pad(div(ms, 1000) % 60, 2)}.${pad(ms % 1000, 3)}`;
}

/** Whole Unix seconds; with 'subsec' a real. */
export function unixepoch(value: SqliteValue, first?: SqliteValue, second?: SqliteValue): SqliteValue {
  const moment = readMoment(value, given(first, second));
  if (moment === null) return null;
  if (moment.subsecond) return (moment.julianMs - UNIX_EPOCH_JULIAN_MS) / 1000;
  return BigInt(Math.floor(moment.julianMs / 1000) - UNIX_EPOCH_JULIAN_MS / 1000);
}

/** Modifiers are literals; the present time is no value. */
export function checkDateArguments(args: readonly PlanExpr[]): FunctionProblem | null {
  const [time, ...modifiers] = args;
  if (time?.kind === 'text' && /^(now|subsec|subsecond)$/i.test(time.value)) {
    return {
      code: 'PSYNC_R2214',
      message: `'${time.value}' is the present time; queries cannot depend on it. Pass a time of the row.`,
    };
  }
  for (const [index, modifier] of modifiers.entries()) {
    const text = modifier.kind === 'text' ? modifier.value.toLowerCase() : '';
    if (text === 'subsec' || text === 'subsecond' || (text === 'unixepoch' && index === 0)) continue;
    return { code: 'PSYNC_R2204', message: "Possible modifiers are 'unixepoch' (first) and 'subsec', as literals." };
  }
  return null;
}
