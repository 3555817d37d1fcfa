import { type Static, type TProperties, type TSchema, Type } from 'typebox';

/**
 * The words in which the resource is defined: JSON schema as Kubernetes allows it in a CRD ("structural"), and bounds on
 * everything, without which the API server cannot tell that a CEL rule is cheap enough.
 *
 * A field with a default may be left out in a manifest, but is always there once the API server has read it. Its
 * TypeScript type is therefore not optional; `crds/structural-schema.ts` leaves it out of `required`.
 */

/** A rule of the API server (CEL) and the sentence that a user reads when it is broken. */
export type Rule = { rule: string; message: string };

type Checked = { rules?: readonly Rule[] };
type WithDefault = { default?: unknown };

/** @param cel an expression over `self`; with `oldSelf` it is asked on updates only */
export function rule(cel: string, message: string): Rule {
  return { rule: cel, message };
}

/** The expression of a rule for text: an absolute address with a host. */
export const isHttpAddress =
  "isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != ''";

export type TextBounds = Checked & WithDefault & { minLength?: number; maxLength: number; pattern?: string };

/** Text of `minLength` (default 1) to `maxLength` characters. */
export function text(description: string, { rules, minLength = 1, ...bounds }: TextBounds) {
  return Type.String({ description, minLength, ...bounds, ...validations(rules) });
}

/** A whole number from `minimum` to `maximum`. */
export function count(
  description: string,
  { rules, ...bounds }: Checked & WithDefault & { minimum: number; maximum: number },
) {
  return Type.Integer({ description, ...format(bounds.maximum), ...bounds, ...validations(rules) });
}

/** A number of the status: zero or more, 64 bits. */
export function measured(description: string) {
  return Type.Integer({ description, format: 'int64', minimum: 0 });
}

export function flag(description: string, fallback: boolean) {
  return Type.Boolean({ description, default: fallback });
}

/** One of a few words. */
export function choice<const Word extends string>(
  description: string,
  words: readonly Word[],
  { rules, ...fallback }: Checked & { default?: Word } = {},
) {
  return Type.Unsafe<Word>({ type: 'string', description, enum: words, ...fallback, ...validations(rules) });
}

/** An object with fields of its own. */
export function section<Fields extends TProperties>(
  description: string,
  fields: Fields,
  { rules, ...fallback }: Checked & WithDefault = {},
) {
  return Type.Object(fields, { description, ...fallback, ...validations(rules) });
}

type ListBounds = Checked & WithDefault & { minItems?: number; maxItems: number };

/** A list that is replaced as a whole. */
export function list<Item extends TSchema>(description: string, items: Item, { rules, ...bounds }: ListBounds) {
  return Type.Array(items, { description, 'x-kubernetes-list-type': 'atomic', ...bounds, ...validations(rules) });
}

/** A list without repetition, merged item by item by server-side apply. */
export function set<Item extends TSchema>(description: string, items: Item, { rules, ...bounds }: ListBounds) {
  return Type.Array(items, { description, 'x-kubernetes-list-type': 'set', ...bounds, ...validations(rules) });
}

type FieldName<Item extends TSchema> = keyof Static<Item> & string;

/** A list whose items are known by one field, or by several together: unique, merged by it, and compared by it in rules with `oldSelf`. */
export function listByKey<Item extends TSchema>(
  description: string,
  items: Item,
  { key, rules, ...bounds }: ListBounds & { key: FieldName<Item> | FieldName<Item>[] },
) {
  const keyed = { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': Array.isArray(key) ? key : [key] };
  return Type.Array(items, { description, ...keyed, ...bounds, ...validations(rules) });
}

/** Free names with values of one kind. */
export function map<Value extends TSchema>(
  description: string,
  values: Value,
  { rules, ...bounds }: Checked & WithDefault & { maxProperties: number },
) {
  return Type.Unsafe<Record<string, Static<Value>>>({
    type: 'object',
    description,
    additionalProperties: values,
    ...bounds,
    ...validations(rules),
  });
}

/** A number, or text of the given form, as Kubernetes takes it for quantities and shares. */
export function intOrString(
  description: string,
  { rules, ...bounds }: Checked & WithDefault & { pattern: string; maxLength: number },
) {
  return Type.Unsafe<number | string>({
    description,
    anyOf: [{ type: 'integer' }, { type: 'string' }],
    'x-kubernetes-int-or-string': true,
    ...bounds,
    ...validations(rules),
  });
}

/** A moment, in RFC 3339. */
export function time(description: string) {
  return Type.String({ description, format: 'date-time' });
}

function validations(rules: readonly Rule[] | undefined) {
  return rules === undefined ? {} : { 'x-kubernetes-validations': rules };
}

function format(maximum: number) {
  return { format: maximum > 2 ** 31 - 1 ? 'int64' : 'int32' };
}
