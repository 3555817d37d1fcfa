import { describe, expect, test } from 'vitest';
import { syncInstanceSchema } from './definition.ts';
import { definedFields, definedRules, invalidExamples, touched, validExamples } from './testing/examples.ts';

const schema = syncInstanceSchema();
const spec = schema.properties!['spec']!;
const valid = await validExamples();
const invalid = await invalidExamples();

describe('examples cover the definition', () => {
  test('the sentence of a rule belongs to no other rule', () => {
    const sentences = definedRules().map(({ message }) => message);
    expect(sentences.filter((sentence, index) => sentences.indexOf(sentence) !== index)).toEqual([]);
  });

  test('each rule is broken by an invalid example', () => {
    const broken = new Set(invalid.flatMap(({ refused }) => refused));
    expect(definedRules().filter(({ message }) => !broken.has(message))).toEqual([]);
  });

  test('each rule is kept by a valid example, those of updates by an update', () => {
    const created = new Set<string>();
    const updated = new Set<string>();
    for (const { manifest, before } of valid) {
      for (const rule of touched(manifest, schema).rules) (before === undefined ? created : updated).add(rule);
    }
    const kept = ({ rule, message }: { rule: string; message: string }) =>
      rule.includes('oldSelf') ? updated.has(message) : created.has(message);
    expect(definedRules().filter((rule) => !kept(rule))).toEqual([]);
  });

  test('each field occurs in a valid example', () => {
    const seen = new Set(valid.flatMap(({ manifest }) => [...touched(manifest['spec'], spec).fields]));
    const unseen = [...definedFields(spec)].filter(([identity]) => !seen.has(identity)).map(([, path]) => path);
    expect(unseen).toEqual([]);
  });

  test('each invalid example says what is answered', () => {
    expect(invalid.filter(({ refused }) => refused.length === 0)).toEqual([]);
    expect(invalid.length).toBeGreaterThan(definedRules().length);
  });
});
