import type { TSchema } from 'typebox';
import type { Rule } from './sync-instance/schema-parts.ts';

/** The part of JSON schema that Kubernetes allows in a CRD and that the definition uses. */
export type StructuralSchema = {
  description?: string;
  type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  format?: string;
  default?: unknown;
  enum?: readonly string[];
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  anyOf?: readonly { type: string }[];
  items?: StructuralSchema;
  additionalProperties?: StructuralSchema;
  properties?: Record<string, StructuralSchema>;
  required?: readonly string[];
  'x-kubernetes-int-or-string'?: true;
  'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  'x-kubernetes-list-map-keys'?: readonly string[];
  'x-kubernetes-validations'?: readonly Rule[];
};

const plainKeywords = [
  'description',
  'type',
  'format',
  'default',
  'enum',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'maxProperties',
  'anyOf',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-validations',
] as const;
const nestedKeywords = ['items', 'additionalProperties', 'properties', 'required'];

/**
 * A definition as the API server takes it: fields with a default are not required, because validation comes after
 * defaults only for what is there. Throws for a keyword that it does not know, lest one be lost.
 */
export function structuralSchema(definition: TSchema): StructuralSchema {
  return convert(definition, '');
}

function convert(from: StructuralSchema, path: string): StructuralSchema {
  const unknown = Object.keys(from).filter(
    (name) => !(plainKeywords as readonly string[]).includes(name) && !nestedKeywords.includes(name),
  );
  if (unknown.length > 0) throw new Error(`${path || 'The root'} uses ${unknown.join(', ')}, which a CRD cannot say.`);
  const plain = plainKeywords.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]);
  const to = Object.fromEntries(plain) as StructuralSchema;
  if (from.items !== undefined) to.items = convert(from.items, `${path}[]`);
  if (from.additionalProperties !== undefined) {
    to.additionalProperties = convert(from.additionalProperties, `${path}.*`);
  }
  if (from.properties === undefined) return to;
  const properties = Object.entries(from.properties);
  to.properties = Object.fromEntries(properties.map(([name, field]) => [name, convert(field, `${path}.${name}`)]));
  const required = (from.required ?? []).filter((name) => from.properties?.[name]?.default === undefined);
  if (required.length > 0) to.required = required;
  return to;
}
