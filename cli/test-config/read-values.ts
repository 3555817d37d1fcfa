/** YAML values of a test file as what they stand for: SQLite values of rows, JSON of tokens and parameters. */
import { isAlias, isMap, isScalar, isSeq, type Alias, type Document, type Node } from 'yaml';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { renderValue } from '#core/sync-config/evaluate/output.ts';
import { MAX_INTEGER, MIN_INTEGER } from '#core/sync-config/evaluate/numbers.ts';
import type { SqliteValue } from '#core/sync-config/values.ts';
import { resolveAliases } from '#core/sync-config/yaml/aliases.ts';

/** Why a value cannot be read, at the node that is at fault. */
export class ValueError extends Error {
  readonly node: Node | null;
  constructor(message: string, node: Node | null) {
    super(message);
    this.node = node;
  }
}

/** A list or map, as JSON text; or one value. */
export type FixtureValue =
  | { readonly kind: 'scalar'; readonly value: SqliteValue }
  | { readonly kind: 'json'; readonly text: string };

export interface ValueReader {
  /**
   * What an alias stands for, else the node itself. Throws ValueError when there is no such anchor, and PSYNC_R1304 when the file unfolds
   * into too many values; so do the others.
   */
  follow(node: Node | null): Node | null;
  /** A value of a row. Throws ValueError. */
  fixtureValue(node: Node | null): FixtureValue;
  /** A value of a token or of parameters, as they come out of JSON: whole numbers beyond 2^53 are bigints. Throws ValueError. */
  jsonValue(node: Node | null): unknown;
}

/** Values in one file, each alias counted as often as it stands there: a file cannot unfold into more. */
const MAX_VALUES = 500_000;
/** As deep as parameters of a session may be. */
const MAX_DEPTH = 32;

export function createValueReader(document: Document): ValueReader {
  let values = 0;
  let aliases: ReadonlyMap<Alias, Node> | null = null;
  const follow = (node: Node | null): Node | null => {
    const target = isAlias(node) ? (aliases ??= resolveAliases(document)).get(node) : node;
    if (target === undefined) throw new ValueError('There is no anchor of this name above.', node);
    if (++values > MAX_VALUES)
      throw codedError('PSYNC_R1304', `The file has more than ${MAX_VALUES} values; use fewer rows.`);
    return target;
  };
  const each = <T>(node: Node | null, depth: number, build: Build<T>): T => {
    const target = follow(node);
    if (depth > MAX_DEPTH)
      throw new ValueError(`Lists and maps are nested deeper than ${MAX_DEPTH} levels here.`, node);
    if (isSeq(target)) return build.list(target.items.map((item) => each(item as Node | null, depth + 1, build)));
    if (isMap(target)) {
      return build.map(
        target.items.map(({ key, value }) => [
          keyOf(follow(key as Node | null)),
          each(value as Node | null, depth + 1, build),
        ]),
      );
    }
    return build.scalar(isScalar(target) ? target.value : null, target);
  };
  return {
    follow,
    jsonValue: (node) => each<unknown>(node, 0, JSON_VALUE),
    fixtureValue: (node) => {
      const target = follow(node);
      if (isSeq(target) || isMap(target)) return { kind: 'json', text: each(target, 0, JSON_TEXT) };
      return { kind: 'scalar', value: sqliteValue(isScalar(target) ? target.value : null, target) };
    },
  };
}

interface Build<T> {
  scalar(value: unknown, node: Node | null): T;
  list(items: readonly T[]): T;
  map(entries: readonly (readonly [string, T])[]): T;
}

const JSON_VALUE: Build<unknown> = {
  scalar: (value, node) => {
    if (value instanceof Uint8Array) throw new ValueError('JSON has no binary values.', node);
    if (typeof value !== 'bigint') return value;
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  },
  list: (items) => items,
  map: (entries) => Object.fromEntries(entries),
};

const JSON_TEXT: Build<string> = {
  scalar: (value, node) => {
    if (typeof value === 'boolean') return String(value);
    const exact = sqliteValue(value, node);
    if (exact instanceof Uint8Array) throw new ValueError('JSON has no binary values.', node);
    return renderValue(exact);
  },
  list: (items) => `[${items.join(',')}]`,
  map: (entries) => `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`,
};

/** Text, 64-bit integers, reals, null, bytes; true and false are 1 and 0. */
function sqliteValue(value: unknown, node: Node | null): SqliteValue {
  switch (typeof value) {
    case 'string':
      return value;
    case 'boolean':
      return value ? 1n : 0n;
    case 'bigint':
      if (value >= MIN_INTEGER && value <= MAX_INTEGER) return value;
      throw new ValueError(`${value} has more than 64 bits; write it as text or as a real (1.0e30).`, node);
    case 'number':
      if (Number.isNaN(value)) throw new ValueError('SQLite has no NaN; write null.', node);
      return value;
    default:
      return value instanceof Uint8Array ? value : null;
  }
}

function keyOf(key: Node | null): string {
  const text = isScalar(key) ? String(key.value) : '';
  if (text === MERGE_KEY) throw new ValueError(MERGE_MESSAGE, key);
  return text;
}

/** Maps that take in others are no part of YAML 1.2, but many expect them. */
export const MERGE_KEY = '<<';
export const MERGE_MESSAGE = 'Merge keys (<<) are not read; write the values out.';
