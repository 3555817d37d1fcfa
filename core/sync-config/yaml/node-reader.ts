/** Reads YAML nodes as what they should be, and reports where they are not. */
import { isAlias, isMap, isScalar, isSeq, type Document, type Node, type Scalar, type YAMLMap } from 'yaml';
import type { SyncConfigCode } from '../codes.ts';
import type { Diagnostics } from '../compile/diagnostics.ts';
import { scalarOffsets, type ScalarStyle } from './scalar-offsets.ts';
import type { Key, QueryText } from './structure.ts';

export interface Entry {
  readonly key: Key;
  readonly value: Node | null;
}

export interface NodeReader {
  /** Entries of a map; null after reporting when it is none. `what` names the value in messages. */
  entries(node: Node | null, what: string, at: Key | null): Entry[] | null;
  boolean(entry: Entry): boolean | null;
  integer(entry: Entry): number | null;
  text(entry: Entry): string | null;
  query(node: Node | null, what: string, at: Key): QueryText | null;
  /** One query or a list of them; `or none`: the list may be empty, or absent. */
  queries(entry: Entry, what: string, orNone?: 'or none'): QueryText[];
  error(code: SyncConfigCode, message: string, at: Key | Node | null): void;
  warning(code: SyncConfigCode, message: string, at: Key | Node | null): void;
}

const STYLES: Readonly<Record<string, ScalarStyle>> = {
  PLAIN: 'plain',
  QUOTE_SINGLE: 'single',
  QUOTE_DOUBLE: 'double',
  BLOCK_LITERAL: 'block',
  BLOCK_FOLDED: 'block',
};

export function createNodeReader(document: Document, source: string, diagnostics: Diagnostics): NodeReader {
  const follow = (node: Node | null): Node | null => {
    let target = node;
    for (let depth = 0; isAlias(target) && depth < 10; depth++)
      target = (target.resolve(document) as Node | undefined) ?? null;
    return isAlias(target) ? null : target;
  };
  const span = (at: Key | Node | null): [number, number] => {
    if (at === null) return [0, Math.min(1, source.length)];
    if ('start' in at && typeof at.start === 'number') return [at.start, at.end];
    const range = (at as Node).range;
    return range === null || range === undefined ? [0, 1] : [range[0], range[1]];
  };
  const report = (level: 'error' | 'warning') => (code: SyncConfigCode, message: string, at: Key | Node | null) => {
    const [start, end] = span(at);
    diagnostics.report(level, code, message, start, end);
  };
  const error = report('error');
  const typeError = (message: string, node: Node | null, at: Key | null): null => {
    error('PSYNC_R1201', message, node?.range ? node : at);
    return null;
  };
  const scalarOf = (entry: Entry): Scalar | null => {
    const node = follow(entry.value);
    return isScalar(node) ? node : null;
  };

  const reader: NodeReader = {
    error,
    warning: report('warning'),
    entries: (node, what, at) => {
      const map = follow(node);
      if (!isMap(map)) return typeError(`${what} must be a map (key: value).`, map, at);
      return (map as YAMLMap<Node, Node | null>).items.map((pair) => {
        const key = follow(pair.key);
        const text = isScalar(key) ? String(key.value) : '';
        const [start, end] = span(key);
        if (text === '') error('PSYNC_R1201', `Keys of ${what} must be non-empty names.`, key);
        return { key: { text, start, end }, value: pair.value };
      });
    },
    boolean: (entry) => {
      const value = scalarOf(entry)?.value;
      if (typeof value === 'boolean') return value;
      return typeError(`"${entry.key.text}" must be true or false.`, entry.value, entry.key);
    },
    integer: (entry) => {
      const value = scalarOf(entry)?.value;
      if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
      return typeError(`"${entry.key.text}" must be a whole number.`, entry.value, entry.key);
    },
    text: (entry) => {
      const value = scalarOf(entry)?.value;
      if (typeof value === 'string') return value;
      return typeError(`"${entry.key.text}" must be a text.`, entry.value, entry.key);
    },
    query: (node, what, at) => {
      const scalar = follow(node);
      if (!isScalar(scalar) || typeof scalar.value !== 'string' || scalar.value.trim() === '') {
        return typeError(`${what} must be a SQL query as text.`, scalar, at);
      }
      const [start, end] = span(scalar);
      const sql = scalar.value;
      const style = STYLES[scalar.type ?? 'PLAIN'] ?? 'plain';
      let map: ((offset: number) => number) | null = null;
      return { sql, start, end, locate: (offset) => (map ??= scalarOffsets(source, start, end, style, sql))(offset) };
    },
    queries: (entry, what, orNone) => {
      const node = follow(entry.value);
      if (orNone !== undefined && (node === null || (isScalar(node) && node.value === null))) return [];
      if (!isSeq(node)) {
        const query = reader.query(node, what, entry.key);
        return query === null ? [] : [query];
      }
      if (node.items.length === 0 && orNone === undefined)
        error('PSYNC_R1203', `"${entry.key.text}" must not be empty; add a query.`, entry.key);
      return node.items.flatMap((item) => reader.query(item as Node | null, what, entry.key) ?? []);
    },
  };
  return reader;
}
