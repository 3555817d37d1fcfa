/** Identifiers for names that may hold anything. Only ASCII letters, digits and underscores: all compilers and tools take these. */

export interface IdentifierStyle {
  /** How a name is written when it is free and no keyword: `asItIs` changes only what cannot stand in an identifier. */
  readonly form: 'asItIs' | 'camelCase' | 'PascalCase';
  /** Keywords, and names that mean something else where these are declared. */
  readonly reserved: ReadonlySet<string>;
  /** For names without a letter, and before a digit at the beginning. */
  readonly fallback: string;
}

/** An identifier for each name, all different. A name that is a good one already keeps it; others get a number where they meet. */
export function identifiersFor(names: readonly string[], style: IdentifierStyle): ReadonlyMap<string, string> {
  const given = new Map<string, string>();
  const taken = new Set(style.reserved);
  const give = (name: string, identifier: string): void => {
    given.set(name, identifier);
    taken.add(identifier);
  };
  const wished = new Map(names.map((name) => [name, converted(name, style)]));
  for (const [name, wish] of wished) if (wish === name && !taken.has(wish)) give(name, wish);
  for (const [name, wish] of wished) {
    if (given.has(name)) continue;
    let identifier = style.reserved.has(wish) ? `${wish}_` : wish;
    for (let number = 2; taken.has(identifier); number += 1) identifier = `${wish}_${number}`;
    give(name, identifier);
  }
  return given;
}

function converted(name: string, { form, fallback }: IdentifierStyle): string {
  if (form === 'asItIs') {
    const plain = name.replaceAll(/[^\w]+/g, '_');
    if (/^_*$/.test(plain)) return fallback;
    return /^\d/.test(plain) ? `${fallback}_${plain}` : plain;
  }
  const words = name.split(/[^A-Za-z0-9]+/).filter(Boolean);
  const capitals = words.map((word) => (/^[A-Z0-9]+$/.test(word) ? word.toLowerCase() : word)).map(capitalised);
  if (capitals.length === 0 || /^\d/.test(capitals[0]!)) capitals.unshift(capitalised(fallback));
  const joined = capitals.join('');
  return form === 'PascalCase' ? joined : `${joined[0]!.toLowerCase()}${joined.slice(1)}`;
}

const capitalised = (word: string): string => `${word[0]!.toUpperCase()}${word.slice(1)}`;

/** A set of words that stand in one text, between spaces. */
export function words(text: string): ReadonlySet<string> {
  return new Set(text.split(/\s+/).filter(Boolean));
}
