import fc from 'fast-check';
import type { StructuralSchema } from '../structural-schema.ts';

const likelyWords = [
  'a',
  'app',
  'zone',
  'example.com/name',
  'kubernetes.io/hostname',
  'a_b.c-d',
  '-',
  'A',
  'a/b/c',
  '',
];
const likelyQuantities = ['1', '500m', '1Gi', '0.5', '1e3', '-1', '.5', '1GB'];
const mostItems = 3;

/**
 * Values that the schema allows, CEL rules aside. Patterns of text are kept, or not: what the API server then thinks of
 * it is its own affair.
 */
export function arbitraryOf(schema: StructuralSchema): fc.Arbitrary<unknown> {
  if (schema['x-kubernetes-int-or-string'] === true) {
    return fc.oneof(fc.integer({ min: -2, max: 10 }), fc.constantFrom(...likelyQuantities));
  }
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.type === 'boolean') return fc.boolean();
  if (schema.type === 'integer') return fc.integer({ min: schema.minimum ?? -10, max: schema.maximum ?? 1000 });
  if (schema.type === 'string') return arbitraryText(schema);
  if (schema.type === 'array') {
    const maxLength = Math.min(mostItems, schema.maxItems ?? mostItems);
    return fc.array(arbitraryOf(schema.items!), { minLength: schema.minItems ?? 0, maxLength });
  }
  if (schema.additionalProperties !== undefined) {
    const keys = fc.oneof(fc.constantFrom(...likelyWords), fc.string({ minLength: 1, maxLength: 20 }));
    // Only an object of its own takes such a key as a name; the API server would not get it.
    const names = keys.filter((key) => key !== '__proto__');
    return fc.dictionary(names, arbitraryOf(schema.additionalProperties), { maxKeys: mostItems });
  }
  const fields = Object.entries(schema.properties ?? {}).map(([name, field]) => [name, arbitraryOf(field)] as const);
  return fc.record(Object.fromEntries(fields), { requiredKeys: [...(schema.required ?? [])] });
}

function arbitraryText(schema: StructuralSchema): fc.Arbitrary<string> {
  const least = schema.minLength ?? 0;
  const most = schema.maxLength ?? 20;
  const free = fc.string({ minLength: least, maxLength: Math.min(20, most) });
  const likely = likelyWords.filter(({ length }) => length >= least && length <= most);
  const texts = [
    { arbitrary: fc.constantFrom(...likely), weight: 3 },
    { arbitrary: free, weight: 1 },
  ];
  if (schema.pattern === undefined) return fc.oneof(...texts);
  const matching = fc.stringMatching(new RegExp(schema.pattern)).filter((text) => text.length <= most);
  return fc.oneof({ arbitrary: matching, weight: 2 }, ...texts);
}
