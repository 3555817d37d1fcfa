import fc from 'fast-check';
import type { StructuralSchema } from '../structural-schema.ts';

/** Names of everything: what most texts must be for a large object to be taken. */
const plainWords = ['a', 'app', 'zone'];
const likelyWords = ['example.com/name', 'kubernetes.io/hostname', 'a_b.c-d', '-', 'A', 'a/b/c', ''];
const likelyQuantities = ['1', '500m', '1Gi', '0.5', '1e3', '-1', '.5', '1GB'];
const mostItems = 2;

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
    const keys = fc.oneof(
      { arbitrary: fc.constantFrom(...plainWords), weight: 24 },
      { arbitrary: fc.constantFrom(...likelyWords), weight: 3 },
      { arbitrary: fc.string({ minLength: 1, maxLength: 20 }), weight: 1 },
    );
    // Only an object of its own takes such a key as a name; the API server would not get it.
    const names = keys.filter((key) => key !== '__proto__');
    return fc.dictionary(names, arbitraryOf(schema.additionalProperties), { maxKeys: mostItems });
  }
  const { properties = {} } = schema;
  const fields = Object.entries(properties).map(([name, field]) => [name, arbitraryOf(field)] as const);
  const record = fc.record(Object.fromEntries(fields), { requiredKeys: [...(schema.required ?? [])] });
  return 'operator' in properties && 'values' in properties ? mostlyFitting(record) : record;
}

/** Requirements whose values fit their operators, but for one in sixteen: an affinity has many of them, and is taken only when all of them fit. */
function mostlyFitting(requirements: fc.Arbitrary<Record<string, unknown>>): fc.Arbitrary<Record<string, unknown>> {
  return fc.tuple(requirements, fc.nat({ max: 15 })).map(([requirement, chance]) => {
    if (chance === 0) return requirement;
    const { operator, values } = requirement as { operator?: string; values?: readonly unknown[] };
    if (operator === 'Exists' || operator === 'DoesNotExist') return { ...requirement, values: [] };
    if (operator === 'Gt' || operator === 'Lt') return { ...requirement, values: ['7'] };
    return values === undefined || values.length === 0 ? { ...requirement, values: ['a'] } : requirement;
  });
}

function arbitraryText(schema: StructuralSchema): fc.Arbitrary<string> {
  const least = schema.minLength ?? 0;
  const most = schema.maxLength ?? 20;
  const free = fc.string({ minLength: least, maxLength: Math.min(20, most) });
  const likely = likelyWords.filter(({ length }) => length >= least && length <= most);
  const texts = [
    { arbitrary: fc.constantFrom(...plainWords), weight: 24 },
    { arbitrary: fc.constantFrom(...likely), weight: 3 },
    { arbitrary: free, weight: 1 },
  ];
  if (schema.pattern === undefined) return fc.oneof(...texts);
  const matching = fc.stringMatching(new RegExp(schema.pattern)).filter((text) => text.length <= most);
  return fc.oneof({ arbitrary: matching, weight: 20 }, ...texts);
}
