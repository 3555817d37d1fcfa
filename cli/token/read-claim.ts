/**
 * Reads `name=value` of `--claim`; the value is JSON, or else text as it stands. Answers a message where it is neither.
 */
export function readClaim(text: string): { readonly name: string; readonly value: unknown } | string {
  const equals = text.indexOf('=');
  if (equals < 1) return `Give name=value, for example role=admin or 'roles=["admin"]', not ${JSON.stringify(text)}.`;
  const [name, value] = [text.slice(0, equals), text.slice(equals + 1)];
  try {
    return { name, value: JSON.parse(value) as unknown };
  } catch {
    // What begins like JSON was meant to be some.
    if (/^[[{"]/.test(value)) return `The value of ${name} is not valid JSON.`;
    return { name, value };
  }
}
