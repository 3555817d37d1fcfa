import type { DescribedValue } from './described-values.ts';

type JsonSchema = Record<string, unknown>;

/**
 * The JSON Schema of the chart's values: types follow from the defaults, the rest from `@schema`. Values that the chart does
 * not know are refused, so that a mistyped name does not go unnoticed. `global` is what Helm gives to every chart.
 */
export function valuesSchema(values: readonly DescribedValue[]): JsonSchema {
  const group = groupSchema(values);
  const global = { description: 'Values that charts share; this one reads none.', type: 'object' };
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the Millrace chart',
    ...group,
    properties: { ...(group['properties'] as JsonSchema), global },
  };
}

function groupSchema(values: readonly DescribedValue[]): JsonSchema {
  return {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(values.map((value) => [value.path.at(-1)!, valueSchema(value)])),
  };
}

function valueSchema(value: DescribedValue): JsonSchema {
  const description = value.description === '' ? {} : { description: value.description };
  if (value.values.length > 0) return { ...description, ...groupSchema(value.values) };
  return { ...description, type: jsonType(value.default), default: value.default, ...value.schema };
}

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (Number.isInteger(value)) return 'integer';
  return typeof value;
}
