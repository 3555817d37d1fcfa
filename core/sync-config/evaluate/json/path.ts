/** JSON paths (S-177): `$.a.b[0]`, `$."a b"`, `$[#-1]`, and the abbreviated keys of `->` and `->>`. */
import { asciiDigits } from './digits.ts';
import { eachChild, stringValue } from './scan.ts';

/** A member by name, an element from the start, or from the end (`[#-1]`: `{ fromEnd: 1 }`). */
export type PathStep = { readonly key: string } | { readonly index: number } | { readonly fromEnd: number };
export type JsonPath = readonly PathStep[];

/** A path that starts with `$`; null when it is malformed. */
export function parsePath(path: string): JsonPath | null {
  if (!path.startsWith('$')) return null;
  const steps: PathStep[] = [];
  let at = 1;
  while (at < path.length) {
    if (path[at] === '.') {
      const step = readKey(path, at + 1);
      if (step === null) return null;
      steps.push({ key: step.key });
      at = step.end;
    } else if (path[at] === '[') {
      const close = path.indexOf(']', at);
      const step = close < 0 ? null : readIndex(path.slice(at + 1, close));
      if (step === null) return null;
      steps.push(step);
      at = close + 1;
    } else {
      return null;
    }
  }
  return steps;
}

function readKey(path: string, start: number): { key: string; end: number } | null {
  if (path[start] === '"') {
    let end = start + 1;
    while (end < path.length && path[end] !== '"') end += path[end] === '\\' ? 2 : 1;
    if (end >= path.length) return null;
    const raw = path.slice(start + 1, end);
    if (!raw.includes('\\')) return { key: raw, end: end + 1 };
    try {
      return { key: JSON.parse(`"${raw}"`) as string, end: end + 1 };
    } catch {
      return null;
    }
  }
  let end = start;
  while (end < path.length && path[end] !== '.' && path[end] !== '[') end++;
  return end === start ? null : { key: path.slice(start, end), end };
}

function readIndex(text: string): PathStep | null {
  if (text === '#') return { fromEnd: 0 };
  const fromEnd = text.startsWith('#-');
  const index = asciiDigits(fromEnd ? text.slice(2) : text);
  if (index === null) return null;
  return fromEnd ? { fromEnd: index } : { index };
}

/**
 * The right side of `->` and `->>` when it is text. With `fixed` (S-45) as SQLite: one key unless it starts with `$`.
 * Without, a path that does not start with `$` is split at its dots.
 */
export function parseAccessor(text: string, fixed: boolean): JsonPath | null {
  if (text.startsWith('$') && (text.length === 1 || text[1] === '.' || text[1] === '[')) return parsePath(text);
  if (!fixed) return text.split('.').map((key) => ({ key }));
  if (text.length >= 3 && text.startsWith('[') && text.endsWith(']')) return parsePath(`$${text}`);
  return [{ key: text }];
}

/** An integer on the right side: element from the start, or from the end when negative. */
export function indexAccessor(index: bigint): JsonPath {
  return index < 0n ? [{ fromEnd: Number(-index) }] : [{ index: Number(index) }];
}

/** Offset of the value at `path` in valid JSON whose value starts at `start`; -1 when there is none. */
export function locate(text: string, start: number, path: JsonPath): number {
  let at = start;
  for (const step of path) {
    at = child(text, at, step);
    if (at < 0) return -1;
  }
  return at;
}

function child(text: string, start: number, step: PathStep): number {
  const code = text.charCodeAt(start);
  let found = -1;
  if ('key' in step) {
    if (code !== 123) return -1;
    eachChild(text, start, (keyStart, keyEnd, valueStart) => {
      if (stringValue(text, keyStart, keyEnd) !== step.key) return false;
      found = valueStart;
      return true;
    });
    return found;
  }
  if (code !== 91) return -1;
  const starts: number[] = [];
  eachChild(text, start, (_keyStart, _keyEnd, valueStart, _stop, index) => {
    if ('index' in step) {
      if (index === step.index) found = valueStart;
      return index === step.index;
    }
    starts.push(valueStart);
    return false;
  });
  if ('index' in step) return found;
  return starts[starts.length - step.fromEnd] ?? -1;
}
