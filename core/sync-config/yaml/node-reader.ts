/** Reads YAML nodes as what they should be, and reports where they are not. */
import { isAlias, isMap, isScalar, isSeq, type Alias, type Document, type Node, type Scalar } from 'yaml';
import type { SyncConfigCode } from '../codes.ts';
import type { Diagnostics, FindingLevel } from '../compile/diagnostics.ts';
import { resolveAliases } from './aliases.ts';
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
  report(level: FindingLevel, code: SyncConfigCode, message: string, at: Key | Node | null): void;
  error(code: SyncConfigCode, message: string, at: Key | Node | null): void;
  warning(code: SyncConfigCode, message: string, at: Key | Node | null): void;
  /** As in `Diagnostics`. */
  errorCount(): number;
}

const STYLES: Readonly<Record<string, ScalarStyle>> = {
  PLAIN: 'plain',
  QUOTE_SINGLE: 'single',
  QUOTE_DOUBLE: 'double',
  BLOCK_LITERAL: 'block',
  BLOCK_FOLDED: 'block',
};

export function createNodeReader(document: Document, source: string, diagnostics: Diagnostics): NodeReader {
  const report: NodeReader['report'] = (level, code, message, at) => {
    const [start, end] = spanOf(at, source);
    diagnostics.report(level, code, message, start, end);
  };
  let aliases: ReadonlyMap<Alias, Node> | null = null;
  const follow = (node: Node | null): Node | null | undefined => {
    if (!isAlias(node)) return node;
    const found = (aliases ??= resolveAliases(document)).get(node);
    if (found !== undefined) return found;
    const message = `There is no anchor "${node.source}"; write &${node.source} before the value that is meant, or quote this.`;
    report('error', 'PSYNC_R1101', message, node);
    return undefined;
  };
  const typeError = (message: string, node: Node | null | undefined, at: Key | null): null => {
    if (node !== undefined) report('error', 'PSYNC_R1201', message, isWritten(node) ? node : at);
    return null;
  };
  /** The value of an entry that is to be one of a type. */
  const valueOf = <T>(entry: Entry, what: string, isType: (value: unknown) => value is T): T | null => {
    const node = follow(entry.value);
    const value = isScalar(node) ? node.value : undefined;
    if (isType(value)) return value;
    return typeError(`"${entry.key.text}" must be ${what}.`, node, entry.key);
  };

  const reader: NodeReader = {
    report,
    error: (...finding) => report('error', ...finding),
    warning: (...finding) => report('warning', ...finding),
    errorCount: diagnostics.errorCount,
    entries: (node, what, at) => {
      const map = follow(node);
      if (!isMap<Node, Node | null>(map)) return typeError(`${what} must be a map (key: value).`, map, at);
      const piece =
        map.flow === true ? map.items.find(({ key, value }) => value === null && isPiece(key, source)) : null;
      if (piece) {
        report(
          'error',
          'PSYNC_R1201',
          'A map in { } ends a value at each comma; put values with commas in quotes.',
          piece.key,
        );
        return null;
      }
      return map.items.map(({ key: written, value }) => {
        const key = follow(written);
        const text = isScalar(key) ? String(key.value) : '';
        const [start, end] = spanOf(key ?? written, source);
        if (text === '' && key !== undefined)
          report('error', 'PSYNC_R1201', `Keys of ${what} must be non-empty names.`, key);
        return { key: { text, start, end }, value };
      });
    },
    boolean: (entry) => valueOf(entry, 'true or false', (value) => typeof value === 'boolean'),
    integer: (entry) => valueOf(entry, 'a whole number', isInteger),
    text: (entry) => valueOf(entry, 'a text', (value) => typeof value === 'string'),
    query: (node, what, at) => {
      const scalar = follow(node);
      if (!isScalar(scalar) || typeof scalar.value !== 'string' || scalar.value.trim() === '') {
        return typeError(`${what} must be a SQL query as text.`, scalar, at);
      }
      return queryText(scalar, scalar.value, source);
    },
    queries: (entry, what, orNone) => {
      const node = follow(entry.value);
      if (node === undefined) return [];
      if (orNone !== undefined && (node === null || (isScalar(node) && node.value === null))) return [];
      if (!isSeq<Node | null>(node)) {
        const query = reader.query(node, what, entry.key);
        return query === null ? [] : [query];
      }
      if (node.items.length === 0 && orNone === undefined)
        report('error', 'PSYNC_R1203', `"${entry.key.text}" must not be empty; add a query.`, entry.key);
      const piece = node.flow === true ? node.items.slice(1).find((item) => isPiece(item, source)) : undefined;
      if (piece === undefined) return node.items.flatMap((item) => reader.query(item, what, entry.key) ?? []);
      const message = 'A list in [ ] ends an item at each comma; write each query in quotes, or after a - on a line.';
      report('error', 'PSYNC_R1201', message, piece);
      return [];
    },
  };
  return reader;
}

function spanOf(at: Key | Node | null, source: string): [start: number, end: number] {
  if (at === null) return [0, Math.min(1, source.length)];
  if ('start' in at && typeof at.start === 'number') return [at.start, at.end];
  const range = (at as Node).range;
  return range === null || range === undefined ? [0, 1] : [range[0], range[1]];
}

/** False for the value of `key:` without anything behind it. */
function isWritten(node: Node | null): node is Node {
  return node?.range !== null && node?.range !== undefined && node.range[1] > node.range[0];
}

const isInteger = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value);

/** What a query begins with, and what is no query but not a part of one either. */
const BEGINS = /^(sel\w*|with|insert|update|delete|values|create|--|\/\*)/i;

/** Is it a part of a query that was cut at a comma? A word alone is none. */
function isPiece(node: Node | null, source: string): boolean {
  if (!isScalar(node) || node.type !== 'PLAIN') return false;
  const text = source.slice(...spanOf(node, source));
  return !BEGINS.test(text) && !/^[a-z_]*$/i.test(text);
}

function queryText(scalar: Scalar, sql: string, source: string): QueryText {
  const [start, end] = spanOf(scalar, source);
  const style = STYLES[scalar.type ?? 'PLAIN'] ?? 'plain';
  const hidden = style === 'plain' ? /^[ \t]+#/.exec(source.slice(end, end + 1000)) : null;
  let map: ((offset: number) => number) | null = null;
  return {
    sql,
    start,
    end,
    comment: hidden === null ? null : end + hidden[0].length - 1,
    locate: (offset) => (map ??= scalarOffsets(source, start, end, style, sql))(offset),
  };
}
