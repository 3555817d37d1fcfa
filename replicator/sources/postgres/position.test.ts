import fc from 'fast-check';
import { expect, test } from 'vitest';
import { comparePositions, formatPosition, formatPositionHalves, parseLsn, positionOf } from './position.ts';
import { beforePageHeader } from './slots.ts';

const lsn = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

test('the text has the form of the recordings (wire/10)', () => {
  expect(positionOf('0/19A8F80')).toBe('00000000/019A8F80');
  expect(formatPosition(0x16_b374d848n)).toBe('00000016/B374D848');
});

test('reading undoes writing, also from halves', () => {
  fc.assert(
    fc.property(lsn, (value) => {
      expect(parseLsn(formatPosition(value))).toBe(value);
      expect(formatPositionHalves(Number(value >> 32n), Number(value & 0xffff_ffffn))).toBe(formatPosition(value));
    }),
  );
});

test('positions are ordered as the numbers are', () => {
  fc.assert(
    fc.property(lsn, lsn, (a, b) => {
      expect(comparePositions(formatPosition(a), formatPosition(b))).toBe(a < b ? -1 : a > b ? 1 : 0);
    }),
  );
});

test.each(['', '0', '0/', '/0', '0/0/0', '123456789/0', 'x/0'])('%j is no position', (text) => {
  expect(() => parseLsn(text)).toThrow(RangeError);
});

test('the end of the log behind a page header is the end of the page before', () => {
  expect(beforePageHeader('00000000/01002018')).toBe('00000000/01002000');
  expect(beforePageHeader('00000001/00000028')).toBe('00000001/00000000');
  expect(beforePageHeader('00000000/01002030')).toBe('00000000/01002030');
});
