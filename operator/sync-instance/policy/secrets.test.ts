import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ValueReference } from '../desired/contract.ts';
import { LONGEST_VALUE_BYTES } from '../desired/desired.ts';
import type { Observed, ValueFact } from '../observed.ts';
import { goldenInstance } from '../testing/golden-instances.ts';
import { hashOfValues, secretsVerdict } from './secrets.ts';

const instance = goldenInstance('minimal');
const reference = (name: string, key = 'uri', kind: ValueReference['kind'] = 'Secret'): ValueReference => ({
  ...{ kind, name, key, variable: 'PS_VALUE' },
});
/** By `kind/name`, then key; null: no such object. */
function valuesOf(given: Readonly<Record<string, Readonly<Record<string, Partial<ValueFact>>> | null>>) {
  const facts = (keys: Readonly<Record<string, Partial<ValueFact>>>) =>
    new Map(Object.entries(keys).map(([key, fact]) => [key, { digest: 'digest', bytes: 10, ...fact }]));
  return new Map(Object.entries(given).map(([source, keys]) => [source, keys === null ? null : facts(keys)]));
}
const verdict = (values: Observed['values'], ...references: ValueReference[]) =>
  secretsVerdict({ values, instance }, references);

describe('SecretsResolved', () => {
  test.each<[string, string, string, Observed['values'], ValueReference]>([
    ['there', 'True', 'Resolved', valuesOf({ 'Secret/pg': { uri: {} } }), reference('pg')],
    ['no Secret', 'False', 'SecretNotFound', valuesOf({ 'Secret/pg': null }), reference('pg')],
    ['never looked for', 'False', 'SecretNotFound', valuesOf({}), reference('pg')],
    ['no key', 'False', 'KeyNotFound', valuesOf({ 'Secret/pg': { url: {} } }), reference('pg')],
    ['an empty value', 'False', 'KeyNotFound', valuesOf({ 'Secret/pg': { uri: { bytes: 0 } } }), reference('pg')],
    [
      'the longest value',
      'True',
      'Resolved',
      valuesOf({ 'Secret/pg': { uri: { bytes: LONGEST_VALUE_BYTES } } }),
      reference('pg'),
    ],
    [
      'one too long',
      'False',
      'ValueTooLong',
      valuesOf({ 'Secret/pg': { uri: { bytes: LONGEST_VALUE_BYTES + 1 } } }),
      reference('pg'),
    ],
    [
      'no ConfigMap',
      'False',
      'ConfigMapNotFound',
      valuesOf({ 'Secret/ca': { ca: {} } }),
      reference('ca', 'ca', 'ConfigMap'),
    ],
  ])('%s: %s, %s', (_, status, reason, values, item) => {
    expect(verdict(values, item)).toMatchObject({ status, reason });
  });

  test('says what to do, once for each problem, and counts what is too much', () => {
    const two = verdict(valuesOf({ 'Secret/pg': null }), reference('pg'), reference('pg'), reference('storage'));
    expect(two.message).toBe(
      'Secret pg is missing in namespace apps: create it with the key uri. Secret storage is missing in namespace apps: create it with the key uri.',
    );
    const many = verdict(new Map(), ...Array.from({ length: 8 }, (_, index) => reference(`s${index}`)));
    expect(many.message).toMatch(/And 3 more\.$/);
  });
});

describe('hash of values', () => {
  const hash = (digest: string, token = 'token', references = [reference('pg')]): string =>
    hashOfValues({
      values: valuesOf({ 'Secret/pg': { uri: { digest } } }),
      adminToken: { token, exists: true },
    })(references);

  test('changes with a value and with what is referred to, and not by itself', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        expect(hash(a) === hash(b)).toBe(a === b);
        expect(hash(a)).toMatch(/^[0-9a-f]{16}$/);
      }),
    );
    expect(hash('a', 'token', [reference('other')])).not.toBe(hash('a'));
  });

  test('passwords cannot be tried against it without the token of the operator', () => {
    expect(hash('a', 'another token')).not.toBe(hash('a'));
  });
});
