import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ValueOptions } from '../contract.ts';
import {
  createInstantFormatter,
  fractionDigits,
  isoDate,
  mongodbPrecision,
  mssqlPrecision,
  mysqlPrecision,
  postgresPrecision,
  timeOfDay,
  withFraction,
} from './date-times.ts';

const options = (
  timestampMaxPrecision: ValueOptions['timestampMaxPrecision'],
  timestampsIso8601 = true,
): ValueOptions => ({ timestampsIso8601, timestampMaxPrecision, customPostgresTypes: true });

describe('fraction digits (S-48, S-49)', () => {
  test.each([
    ['MongoDB', mongodbPrecision, { none: 3, seconds: 0, milliseconds: 3, microseconds: 3, nanoseconds: 3 }],
    ['Postgres', postgresPrecision, { none: 6, seconds: 0, milliseconds: 3, microseconds: 6, nanoseconds: 6 }],
    ['MySQL', mysqlPrecision, { none: 3, seconds: 0, milliseconds: 3, microseconds: 6, nanoseconds: 6 }],
    ['SQL Server', mssqlPrecision, { none: 9, seconds: 0, milliseconds: 3, microseconds: 6, nanoseconds: 9 }],
  ] as const)('%s', (_, precision, { none, ...digits }) => {
    expect(fractionDigits(options(null), precision)).toBe(none);
    for (const [asked, expected] of Object.entries(digits) as [keyof typeof digits, number][]) {
      expect(fractionDigits(options(asked), precision)).toBe(expected);
      // Without timestamps_iso8601 the option has no effect (S-50).
      expect(fractionDigits(options(asked, false), precision)).toBe(none);
    }
  });
});

/** As many digits as asked: cut, or padded. */
const cut = (fraction: string, digits: number): string =>
  digits === 0 ? '' : `.${fraction.padEnd(9, '0').slice(0, digits)}`;

test('a fraction is cut and padded, never rounded (S-48)', () => {
  const fraction = fc.stringMatching(/^[0-9]{1,9}$/);
  fc.assert(
    fc.property(fraction, fc.integer({ min: 0, max: 9 }), (text, digits) => {
      expect(withFraction(`23:59:59.${text}`, digits)).toBe(`23:59:59${cut(text, digits)}`);
      expect(withFraction('23:59:59', digits)).toBe(`23:59:59${cut('', digits)}`);
    }),
  );
});

const dayMs = 86_400_000;
const split = (epochMs: number): [number, number] => {
  const day = Math.floor(epochMs / dayMs);
  return [day, epochMs - day * dayMs];
};

test('every instant that JavaScript knows is written as JavaScript does (S-43, S-312)', () => {
  const format = createInstantFormatter('T', 3);
  const spaced = createInstantFormatter(' ', 3);
  const instant = fc.oneof(
    fc.date({ noInvalidDate: true }).map((date) => date.getTime()),
    fc.integer({ min: -70_000_000_000_000, max: 300_000_000_000_000 }),
    fc.integer({ min: -5 * dayMs, max: 5 * dayMs }),
    fc.constantFrom(-8_640_000_000_000_000, 8_640_000_000_000_000, 253_402_300_800_000, -62_167_219_200_000),
  );
  fc.assert(
    fc.property(instant, (epochMs) => {
      const expected = new Date(epochMs).toISOString();
      expect(format(...split(epochMs), 0)).toBe(expected);
      expect(spaced(...split(epochMs), 999_999)).toBe(expected.replace('T', ' '));
    }),
    { numRuns: 3_000 },
  );
});

test('days beyond the years of JavaScript: six digits or as many as it takes', () => {
  expect(isoDate(106_751_991_167)).toBe('+292278994-08-17');
  expect(isoDate(-106_751_991_168)).toBe('-292275055-05-16');
  // One era of 400 years has 146,097 days.
  fc.assert(
    fc.property(fc.integer({ min: -100_000_000, max: 100_000_000 }), (day) => {
      expect(isoDate(day + 146_097).slice(-6)).toBe(isoDate(day).slice(-6));
    }),
  );
});

test('time of day with up to nine digits (S-49, S-355)', () => {
  const nanosOfDay = fc.tuple(fc.integer({ min: 0, max: dayMs - 1 }), fc.integer({ min: 0, max: 999_999 }));
  fc.assert(
    fc.property(nanosOfDay, fc.integer({ min: 0, max: 9 }), ([millisecond, nanos], digits) => {
      const iso = new Date(millisecond).toISOString();
      const fraction = iso.slice(20, 23) + String(nanos).padStart(6, '0');
      expect(timeOfDay(millisecond, nanos, digits)).toBe(iso.slice(11, 19) + cut(fraction, digits));
    }),
  );
});
