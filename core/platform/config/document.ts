import {
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type Node,
  type ParsedNode,
  type Scalar,
} from 'yaml';
import type { ConfigPath, ConfigProblem } from './problems.ts';
import { formatPath } from './problems.ts';

/** Names of environment variables, and nothing else, may be read through `!env` (O-17). */
const ENVIRONMENT_PREFIX = 'PS_';
/** Larger files are refused unread. An inline sync config fits easily. */
export const MAX_CONFIG_BYTES = 8 * 1024 * 1024;

/** Our words for the parser's errors: its own quote the text, which may be a secret. */
const SYNTAX_MESSAGES: Readonly<Record<string, string>> = {
  BAD_DQ_ESCAPE: 'unknown escape sequence in double quotes; use single quotes for text with backslashes',
  BAD_INDENT: 'the indentation does not fit the lines above',
  BAD_SCALAR_START: 'text cannot start with this character; put it into quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a nested map or list cannot start on this line; check the indentation',
  BLOCK_IN_FLOW: 'block style cannot stand inside brackets',
  DUPLICATE_KEY: 'this key is given twice',
  MISSING_CHAR: 'a closing quote, bracket, comma or colon is missing',
  MULTILINE_IMPLICIT_KEY: 'a key must fit on one line; a quote or colon may be missing',
  MULTIPLE_DOCS: 'only one document is allowed; remove the line "---"',
  NON_STRING_KEY: 'keys must be plain text',
  TAB_AS_INDENT: 'tabs cannot be used for indentation',
  TAG_RESOLVE_FAILED: 'unknown tag, only !env is known; put text that starts with ! into quotes',
  UNEXPECTED_TOKEN: 'unexpected here; check quotes, brackets and indentation',
};
/** One wrong character can make the parser complain about all that follows. */
const MAX_SYNTAX_PROBLEMS = 5;

export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A parsed configuration with its variables filled in, and the way back to its lines. */
export interface ConfigDocument {
  readonly value: unknown;
  /** The position of the deepest existing part of `path`; with `'key'`, of the key instead of its value. */
  locate(path: ConfigPath, at?: 'key' | 'value'): Position;
  /** Environment variables that could not be used; their keys hold null. */
  readonly unresolved: ReadonlySet<string>;
  readonly problems: readonly ConfigProblem[];
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads YAML, or JSON, which is a subset of it (O-13), and replaces `!env NAME`, `!env NAME::number` and
 * `!env NAME::boolean` (O-17 … O-19). Ours: `::json` for a part of the configuration that is secret as a whole, such as a
 * key set, and `::lines` for a list of texts, one per line, empty ones left out. Never throws: what is wrong is in `problems`.
 */
export function parseConfigDocument(text: string, environment: Environment): ConfigDocument {
  const lineCounter = new LineCounter();
  const problems: ConfigProblem[] = [];
  const unresolved = new Set<string>();
  const position = (offset: number): Position => {
    const { line, col } = lineCounter.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const failed = (): ConfigDocument => ({ value: null, locate: () => position(0), unresolved, problems });

  if (Buffer.byteLength(text) > MAX_CONFIG_BYTES) {
    const message = `larger than ${MAX_CONFIG_BYTES} bytes; put the sync config into a file of its own`;
    problems.push({ code: 'PSYNC_S3221', key: '', line: 1, column: 1, message });
    return failed();
  }
  const document = parseDocument(text.replace(/^\uFEFF/, ''), {
    lineCounter,
    merge: true,
    stringKeys: true,
    // Excerpts in messages could show secrets.
    prettyErrors: false,
    customTags: [{ tag: '!env', resolve: (name: string) => name }],
  });
  for (const { code, pos } of [...document.errors, ...document.warnings].slice(0, MAX_SYNTAX_PROBLEMS)) {
    const message = SYNTAX_MESSAGES[code] ?? `is not valid YAML (${code})`;
    problems.push({ code: 'PSYNC_S3222', key: '', ...position(pos[0]), message });
  }
  if (problems.length > 0) return failed();

  visit(document, {
    Alias: (_key, node, ancestors) => {
      const target = node.resolve(document);
      if (target !== undefined && !ancestors.includes(target)) return;
      const message =
        target === undefined
          ? 'no anchor of this name stands above; put text that starts with * into quotes'
          : 'this alias contains itself';
      problems.push({ code: 'PSYNC_S3222', key: '', ...position(node.range?.[0] ?? 0), message });
    },
    Scalar: (_key, node, ancestors) => {
      if (node.tag !== '!env') return;
      const path = formatPath(pathOf(ancestors, node));
      const result = resolveVariable(node, environment);
      if (typeof result !== 'string') {
        node.value = result.value;
      } else {
        node.value = null;
        unresolved.add(path);
        problems.push({ code: 'PSYNC_S3225', key: path, ...position(node.range?.[0] ?? 0), message: result });
      }
    },
  });
  if (problems.some(({ code }) => code === 'PSYNC_S3222')) return failed();

  try {
    const value: unknown = document.toJS({ maxAliasCount: 1000 });
    return { value, locate: (path, at) => position(offsetOf(document, path, at)), unresolved, problems };
  } catch {
    // The only error left: so many nested aliases that the result would not fit in memory.
    problems.push({
      code: 'PSYNC_S3222',
      key: '',
      line: 1,
      column: 1,
      message: 'too many aliases; write the values out',
    });
    return failed();
  }
}

/** The value of a variable, or what is wrong with it. Messages name the variable and never show its value (O-18). */
function resolveVariable(node: Scalar, environment: Environment): { value: unknown } | string {
  const match = /^(.*?)(?:::([^:]*))?$/.exec(String(node.value).trim());
  const [, name = '', cast = 'string'] = match ?? [];
  if (!name.startsWith(ENVIRONMENT_PREFIX)) {
    // what does not look like a name may be a secret that was put after !env
    const shown = /^[A-Za-z_]\w{0,63}$/.test(name) ? `, not "${name}"` : '';
    return `only environment variables starting with ${ENVIRONMENT_PREFIX} may be used${shown}`;
  }
  const value = environment[name];
  if (value === undefined) return `the environment variable ${name} is not set`;
  if (cast === 'string') return { value };
  if (cast === 'number') {
    const number = value.trim() === '' ? Number.NaN : Number(value);
    return Number.isFinite(number) ? { value: number } : `the environment variable ${name} is not a number`;
  }
  if (cast === 'boolean') {
    if (value === 'true' || value === 'false') return { value: value === 'true' };
    return `the environment variable ${name} is neither true nor false`;
  }
  if (cast === 'json') return parsedJson(name, value);
  if (cast === 'lines') {
    const lines = value.split('\n').map((line) => line.trim());
    return { value: lines.filter((line) => line !== '') };
  }
  return `"::${cast}" is not supported, use ::string, ::number, ::boolean, ::json or ::lines`;
}

/** The parser's own message would quote the text, which may be a secret. */
function parsedJson(name: string, text: string): { value: unknown } | string {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return `the environment variable ${name} is not valid JSON`;
  }
}

function pathOf(ancestors: readonly unknown[], node: Node): (string | number)[] {
  const path: (string | number)[] = [];
  ancestors.forEach((ancestor, depth) => {
    if (isPair(ancestor)) path.push(isScalar(ancestor.key) ? String(ancestor.key.value) : '?');
    else if (isSeq(ancestor)) path.push(ancestor.items.indexOf(ancestors[depth + 1] ?? node));
  });
  return path;
}

function offsetOf(document: Document.Parsed, path: ConfigPath, at: 'key' | 'value' = 'value'): number {
  let node: Node | null = document.contents;
  let offset = start(node);
  for (const [depth, part] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document) ?? null;
    const child = childOf(document, node, part);
    if (child === null) return offset;
    const isLast = depth === path.length - 1;
    offset =
      isLast && at === 'key' ? (start(child.key) ?? start(child.value) ?? offset) : (start(child.value) ?? offset);
    node = child.value;
  }
  return offset ?? 0;

  function start(of: Node | null): number {
    return (of as ParsedNode | null)?.range?.[0] ?? offset ?? 0;
  }
}

interface Child {
  readonly key: Node | null;
  readonly value: Node | null;
}

function childOf(document: Document, parent: Node | null, part: string | number): Child | null {
  if (isSeq(parent)) {
    const item = typeof part === 'number' ? (parent.items[part] as Node | undefined) : undefined;
    return item === undefined ? null : { key: null, value: item };
  }
  if (!isMap(parent)) return null;
  for (const { key, value } of parent.items) {
    if (isScalar(key) && String(key.value) === String(part)) return { key, value: value as Node | null };
  }
  for (const { key, value } of parent.items) {
    if (!isScalar(key) || key.value !== '<<') continue;
    for (const source of isSeq(value) ? (value.items as Node[]) : [value as Node]) {
      const found = childOf(document, isAlias(source) ? (source.resolve(document) ?? null) : source, part);
      if (found !== null) return found;
    }
  }
  return null;
}
