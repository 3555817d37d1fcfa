import fc from 'fast-check';
import type { StructuralSchema } from '#crds/structural-schema.ts';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import { SyncInstanceSchema } from '#crds/sync-instance/sync-instance.ts';
import { keepRules } from './keep-rules.ts';

/** Longest lists and maps: enough for an order and for things in common. */
const SOME = 2;
const dnsLabel = fc.stringMatching(/^[a-z]([-a-z0-9]{0,18}[a-z0-9])?$/);

/**
 * Instances that the API server takes, made from the schema, so that a new field is in them by itself. What CEL rules forbid is
 * mended afterwards (`keepRules`); that they are valid is checked by a real API server in `desired/cluster.integration.test.ts`.
 */
export function randomInstance(): fc.Arbitrary<SyncInstance> {
  const { spec } = (SyncInstanceSchema as unknown as { properties: { spec: StructuralSchema } }).properties;
  return fc
    .record({ name: dnsLabel, namespace: dnsLabel, uid: fc.uuid(), spec: fromSchema(spec) })
    .map(({ name, namespace, uid, spec: drawn }) => ({
      apiVersion: 'millrace.dev/v1alpha1',
      kind: 'SyncInstance',
      metadata: { name, namespace, uid, generation: 1 },
      spec: keepRules(drawn as SyncInstance['spec']),
    }));
}

const known = new Map<string, fc.Arbitrary<unknown>>();

/** The same parts stand in many places, and making an arbitrary of a pattern takes long. */
function fromSchema(schema: StructuralSchema): fc.Arbitrary<unknown> {
  const { description: _description, ...meaning } = schema;
  const key = JSON.stringify(meaning);
  const found = known.get(key) ?? newFromSchema(schema);
  known.set(key, found);
  return found;
}

function newFromSchema(schema: StructuralSchema): fc.Arbitrary<unknown> {
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf) return fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constantFrom('25%', '1%', '50%'));
  switch (schema.type) {
    case 'string':
      return texts(schema);
    case 'integer':
      return fc.integer({ min: schema.minimum ?? 0, max: schema.maximum ?? 1_000_000 });
    case 'boolean':
      return fc.boolean();
    case 'array':
      return lists(schema);
    case 'object':
      return schema.additionalProperties ? maps(schema.additionalProperties) : sections(schema);
    default:
      throw new Error(`The generator does not know this schema: ${JSON.stringify(schema)}`);
  }
}

function texts({ pattern, minLength = 0, maxLength = 20 }: StructuralSchema): fc.Arbitrary<string> {
  const fits = (text: string): boolean => text.length >= minLength && text.length <= maxLength;
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern), { size: '-1' }).filter(fits);
  return fc.string({ minLength, maxLength: Math.min(maxLength, 20), unit: 'binary' }).filter(fits);
}

function lists(schema: StructuralSchema): fc.Arbitrary<unknown[]> {
  const bounds = { minLength: schema.minItems ?? 0, maxLength: Math.min(schema.maxItems ?? SOME, SOME) };
  const items = fromSchema(schema.items!);
  const key = schema['x-kubernetes-list-map-keys']?.[0];
  if (key !== undefined) {
    return fc.uniqueArray(items, { ...bounds, selector: (item) => (item as Record<string, unknown>)[key] });
  }
  return schema['x-kubernetes-list-type'] === 'set' ? fc.uniqueArray(items, bounds) : fc.array(items, bounds);
}

function maps(values: StructuralSchema): fc.Arbitrary<Record<string, unknown>> {
  const isQuantity = values.anyOf !== undefined;
  const keys = isQuantity ? ['cpu', 'memory'] : ['team', 'example.com/team', 'Cost.Centre_1', 'a'];
  const drawn = isQuantity ? fc.constantFrom('100m', '2', 1, '256Mi') : fromSchema(values);
  return fc.dictionary(fc.constantFrom(...keys), drawn, { maxKeys: SOME, noNullPrototype: true });
}

/** Large, with operators and values that depend on each other, and only passed on. */
const passedOn: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  affinity: fc.constant({ podAffinity: {} }),
  podSelector: fc.constant({ matchLabels: { a: 'b' } }),
  namespaceSelector: fc.constant({}),
  labelSelector: fc.constant({ matchLabels: { a: 'b' } }),
};

function sections({ properties = {}, required = [] }: StructuralSchema): fc.Arbitrary<unknown> {
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, field]) => [name, passedOn[name] ?? fromSchema(field)]),
  );
  return fc.record(fields, { requiredKeys: [...required], noNullPrototype: true });
}
