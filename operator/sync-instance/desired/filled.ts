type Optional<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> };

/**
 * The fields that say something: without undefined, empty text, empty lists and empty maps. What is not sent is not owned by
 * the operator, so that defaults of the API server and fields of others stay.
 */
export function filled<T extends object>(fields: T): Optional<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isEmpty(value))) as Optional<T>;
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && Object.keys(value).length === 0;
}
