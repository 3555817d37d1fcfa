import { Type, type TSchema } from 'typebox';

/** Parts that several sections of the configuration schema share. */

/** Objects allow no keys but their own: an unknown key stops the start (O-20). */
export const STRICT = { additionalProperties: false } as const;

/** A port as number or numeric text (R-6, O-26). Its range is checked later, where it has a code of its own. */
export const Port = Type.Unsafe<number | string>({
  type: ['integer', 'string'],
  pattern: '^[0-9]{1,5}$',
  description: 'Port number, as a number or as text',
});

export const IpRanges = Type.Array(Type.String({ format: 'ip-range' }), {
  description:
    'Addresses or ranges (CIDR) that are refused; "local" stands for everything outside public unicast (R-8)',
});

export const text = (description: string) => Type.String({ minLength: 1, description });
export const flag = (description: string) => Type.Boolean({ description });
export const optionalText = (description: string) => Type.Optional(text(description));
export const optionalFlag = (description: string) => Type.Optional(flag(description));
export const optionalNumber = (description: string, range: { minimum?: number; maximum?: number } = {}) =>
  Type.Optional(Type.Number({ description, ...range }));
export const optionalCount = (description: string, range: { minimum?: number; maximum?: number } = { minimum: 1 }) =>
  Type.Optional(Type.Integer({ description, ...range }));

/**
 * One of several objects, told apart by `key`. Unlike a plain union, a wrong value is reported for the object that was
 * meant, not for all of them.
 */
export function oneOfBy<T>(key: string, description: string, schemas: readonly TSchema[]) {
  return Type.Unsafe<T>({
    type: 'object',
    description,
    discriminator: { propertyName: key },
    required: [key],
    oneOf: schemas,
  });
}
