/** Names of types as sources write them, and tables of them. */
import type { ValueType } from '../result-types.ts';
import type { TypeMapping } from './contract.ts';

/** What the values of a type are; 'null' when they are null and nothing else. */
export type Becomes = ValueType | 'null';
/** Names of types (in lower case, without parameters) and what their values become. */
export type TypeRow = readonly [names: readonly string[], becomes: Becomes];

/**
 * In lower case, without parameters and with single spaces: `Timestamp (3) with time zone` is `timestamp with time zone`. Parameters go from
 * the first to the last parenthesis: the labels of an enum may hold any text.
 */
export function plainTypeName(typeName: string): string {
  const [from, to] = [typeName.indexOf('('), typeName.lastIndexOf(')')];
  const plain = from >= 0 && to > from ? `${typeName.slice(0, from)} ${typeName.slice(to + 1)}` : typeName;
  return plain.toLowerCase().split(/\s+/).filter(Boolean).join(' ');
}

/** A look-up by plain name; undefined: no row has it. */
export function typeTable(rows: readonly TypeRow[]): (plainName: string) => Becomes | undefined {
  const table = new Map(rows.flatMap(([names, becomes]) => names.map((name) => [name, becomes] as const)));
  return (plainName) => table.get(plainName);
}

/** What a mapping answers for it. */
export function valueType(becomes: Becomes | undefined): ValueType | null {
  return becomes === undefined || becomes === 'null' ? null : becomes;
}

/**
 * For sources without a schema, whose columns may have several types, written `Int | Null`. Integers and reals together are
 * numbers and so real; with other mixtures nothing is known.
 */
export function unionMapping(memberOf: (name: string) => Becomes | undefined): TypeMapping {
  return (typeName) => {
    const members = new Set(splitUnion(typeName).map(memberOf));
    members.delete('null');
    if (members.size === 2 && members.has('integer') && members.has('real')) return 'real';
    const [only] = members;
    return members.size === 1 ? valueType(only) : null;
  };
}

/** At each `|` that is not between brackets. */
function splitUnion(typeName: string): string[] {
  const members = [''];
  let depth = 0;
  for (const part of typeName.split(/([|<>()])/)) {
    if (part === '<' || part === '(') depth += 1;
    if (part === '>' || part === ')') depth -= 1;
    if (part === '|' && depth === 0) members.push('');
    else members[members.length - 1] += part;
  }
  return members;
}
