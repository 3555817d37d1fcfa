import { describe, expect, test } from 'vitest';
import type { ValueOptions } from '../../contract.ts';
import { timeFormatter, timestampFormatter } from './timestamps.ts';

const iso = (timestampMaxPrecision: ValueOptions['timestampMaxPrecision'] = null): ValueOptions => ({
  timestampsIso8601: true,
  timestampMaxPrecision,
  customPostgresTypes: true,
});
const legacy: ValueOptions = { timestampsIso8601: false, timestampMaxPrecision: null, customPostgresTypes: false };

describe('timestamptz (S-285)', () => {
  test.each([
    ['2025-03-04 05:06:07+00', '2025-03-04 05:06:07Z', '2025-03-04T05:06:07.000000Z'],
    ['2025-03-04 05:06:07.5+00', '2025-03-04 05:06:07.5Z', '2025-03-04T05:06:07.500000Z'],
    ['2025-03-04 05:06:07.123456+00', '2025-03-04 05:06:07.123456Z', '2025-03-04T05:06:07.123456Z'],
    ['infinity', '9999-12-31 23:59:59Z', '9999-12-31T23:59:59.000000Z'],
    ['-infinity', '0000-01-01 00:00:00Z', '0000-01-01T00:00:00.000000Z'],
    ['10000-01-01 00:00:00+00', '10000-01-01 00:00:00Z', '+010000-01-01T00:00:00.000000Z'],
    ['294276-12-31 23:59:59.999999+00', '294276-12-31 23:59:59.999999Z', '+294276-12-31T23:59:59.999999Z'],
    ['0001-12-31 00:00:00+00 BC', '0001-12-31 00:00:00Z BC', '0000-12-31T00:00:00.000000Z'],
    ['4713-11-24 00:00:00+00 BC', '4713-11-24 00:00:00Z BC', '-004712-11-24T00:00:00.000000Z'],
  ])('%s', (text, plain, expected) => {
    expect(timestampFormatter(legacy, true)(text)).toBe(plain);
    expect(timestampFormatter(iso(), true)(text)).toBe(expected);
  });
});

describe('timestamp (S-286, S-302)', () => {
  test.each([
    ['2025-03-04 05:06:07', '2025-03-04 05:06:07', '2025-03-04T05:06:07.000000'],
    ['2025-03-04 05:06:07.12', '2025-03-04 05:06:07.12', '2025-03-04T05:06:07.120000'],
    ['infinity', '9999-12-31 23:59:59', '9999-12-31T23:59:59.000000'],
    ['-infinity', '0000-01-01 00:00:00', '0000-01-01T00:00:00.000000'],
    ['0044-03-15 12:00:00 BC', '0044-03-15 12:00:00 BC', '-000043-03-15T12:00:00.000000'],
  ])('%s', (text, plain, expected) => {
    expect(timestampFormatter(legacy, false)(text)).toBe(plain);
    expect(timestampFormatter(iso(), false)(text)).toBe(expected);
  });
});

describe('precision: cut and padded, never rounded (S-48, S-49)', () => {
  test.each([
    ['seconds', '2025-03-04T05:06:07Z', '2025-03-04T05:06:07Z', '9999-12-31T23:59:59Z'],
    ['milliseconds', '2025-03-04T05:06:07.999Z', '2025-03-04T05:06:07.500Z', '9999-12-31T23:59:59.000Z'],
    ['microseconds', '2025-03-04T05:06:07.999999Z', '2025-03-04T05:06:07.500000Z', '9999-12-31T23:59:59.000000Z'],
    ['nanoseconds', '2025-03-04T05:06:07.999999Z', '2025-03-04T05:06:07.500000Z', '9999-12-31T23:59:59.000000Z'],
  ] as const)('%s', (precision, long, short, infinite) => {
    const format = timestampFormatter(iso(precision), true);
    expect(format('2025-03-04 05:06:07.999999+00')).toBe(long);
    expect(format('2025-03-04 05:06:07.5+00')).toBe(short);
    expect(format('infinity')).toBe(infinite);
  });
});

test('time has fixed digits in ISO form only (wire/05)', () => {
  expect(timeFormatter(iso())('12:34:56.789')).toBe('12:34:56.789000');
  expect(timeFormatter(iso())('00:00:00')).toBe('00:00:00.000000');
  expect(timeFormatter(iso('seconds'))('12:34:56.789')).toBe('12:34:56');
  expect(timeFormatter(legacy)('12:34:56.789')).toBe('12:34:56.789');
});
