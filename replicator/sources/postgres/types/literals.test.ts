import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ArrayLiteral,
  parseArrayLiteral,
  parseCompositeLiteral,
  parseMultirangeLiteral,
  parseRangeLiteral,
} from './literals.ts';

/** As array_out writes: quotes where needed, backslash before quotes and backslashes. */
function writeArray(items: ArrayLiteral): string {
  const element = (item: ArrayLiteral[number]): string => {
    if (item === null) return 'NULL';
    if (typeof item !== 'string') return writeArray(item);
    return item === '' || /[{},"\\\s]/.test(item) || item.toUpperCase() === 'NULL'
      ? `"${item.replaceAll(/["\\]/g, '\\$&')}"`
      : item;
  };
  return `{${items.map(element).join(',')}}`;
}
/** As record_out writes: quotes where needed, quotes and backslashes doubled. */
function writeComposite(members: readonly (string | null)[]): string {
  const member = (text: string | null): string => {
    if (text === null) return '';
    return text === '' || /[(),"\\\s]/.test(text) ? `"${text.replaceAll(/["\\]/g, '$&$&')}"` : text;
  };
  return `(${members.map(member).join(',')})`;
}

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: fc.constantFrom('a', '"', '\\', '{', '}', ',', ' ', '(', ')', '[', ']', 'NULL', 'é') }),
);
const elements = fc.array(fc.option(text), { minLength: 1, maxLength: 5 });

describe('arrays', () => {
  test('reading undoes writing', () => {
    const array = fc.oneof(elements, fc.array(elements, { minLength: 1, maxLength: 3 }));
    fc.assert(
      fc.property(array, (items) => {
        expect(parseArrayLiteral(writeArray(items), ',')).toEqual(items);
      }),
    );
  });
  test.each([
    ['{}', []],
    ['{1,2,NULL}', ['1', '2', null]],
    ['{null,nUll}', [null, null]],
    ['{"NULL"}', ['NULL']],
    ['[0:1]={a,b}', ['a', 'b']],
    ['[1:1][-2:-1]={{1,2}}', [['1', '2']]],
    [
      '{{1,2},{3,4}}',
      [
        ['1', '2'],
        ['3', '4'],
      ],
    ],
    [String.raw`{"a\"b","c\\d"}`, ['a"b', String.raw`c\d`]],
  ])('%s', (literal, expected) => expect(parseArrayLiteral(literal, ',')).toEqual(expected));
  test('of box, whose elements hold commas', () => {
    expect(parseArrayLiteral('{(1,1),(0,0);(2,2),(0,0)}', ';')).toEqual(['(1,1),(0,0)', '(2,2),(0,0)']);
  });
  test.each([
    '',
    '{',
    '}',
    '{1',
    '{1,}',
    '{,1}',
    '{1}x',
    '{"a}',
    '[0:1]',
    '{1}{2}',
    '{{{{{{{1}}}}}}}',
    '{'.repeat(100_000),
  ])('no array: %#', (literal) => expect(parseArrayLiteral(literal, ',')).toBeNull());
});

describe('composites', () => {
  test('reading undoes writing', () => {
    fc.assert(
      fc.property(elements, (members) => {
        expect(parseCompositeLiteral(writeComposite(members))).toEqual(members);
      }),
    );
  });
  test.each([
    ['()', [null]],
    ['(,)', [null, null]],
    ['("",)', ['', null]],
    [String.raw`("a ""b"" \\c",1)`, [String.raw`a "b" \c`, '1']],
  ])('%s', (literal, expected) => expect(parseCompositeLiteral(literal)).toEqual(expected));
  test.each(['', '(', ')', '("a)', 'a', '(a'])('no composite: %s', (literal) =>
    expect(parseCompositeLiteral(literal)).toBeNull(),
  );
});

describe('ranges', () => {
  test.each([
    ['empty', 'empty'],
    ['[1,5)', { lower: '1', upper: '5', lowerExclusive: false, upperExclusive: true }],
    ['(,5]', { lower: null, upper: '5', lowerExclusive: true, upperExclusive: false }],
    ['(,)', { lower: null, upper: null, lowerExclusive: true, upperExclusive: true }],
    [
      '["2024-01-01 00:00:00",infinity)',
      { lower: '2024-01-01 00:00:00', upper: 'infinity', lowerExclusive: false, upperExclusive: true },
    ],
    ['["a""b","c\\\\)"]', { lower: 'a"b', upper: 'c\\)', lowerExclusive: false, upperExclusive: false }],
  ])('%s', (literal, expected) => expect(parseRangeLiteral(literal)).toEqual(expected));
  test('multiranges', () => {
    expect(parseMultirangeLiteral('{}')).toEqual([]);
    expect(parseMultirangeLiteral('{[1,3),[5,7)}')).toEqual([
      { lower: '1', upper: '3', lowerExclusive: false, upperExclusive: true },
      { lower: '5', upper: '7', lowerExclusive: false, upperExclusive: true },
    ]);
  });
  test.each(['', '[1,5', '[1)', '1,5)', '[1,5)x', '["1,5)'])('no range: %s', (literal) =>
    expect(parseRangeLiteral(literal)).toBeNull(),
  );
  test.each(['', '{', '{[1,5)', '{[1,5)}x', '{[1,5);[6,7)}'])('no multirange: %s', (literal) =>
    expect(parseMultirangeLiteral(literal)).toBeNull(),
  );
});

test('any text is read in some way', () => {
  const anything = fc.string({
    unit: fc.constantFrom('{', '}', '[', ']', '(', ')', ',', '"', '\\', 'a', '=', ' ', ':'),
    maxLength: 200,
  });
  fc.assert(
    fc.property(anything, (literal) => {
      parseArrayLiteral(literal, ',');
      parseCompositeLiteral(literal);
      parseRangeLiteral(literal);
      parseMultirangeLiteral(literal);
    }),
    { numRuns: 2_000 },
  );
});
