/**
 * Readers of Postgres' text forms of arrays, composites and ranges: text in, parts out. They return null for text that does not have
 * the form, so that the caller can pass it on as it is; they never throw and look at each character once.
 */

/** An array as nested lists of element texts; null elements are null. Bounds (`[0:1]={…}`) are dropped. */
export type ArrayLiteral = (string | null | ArrayLiteral)[];

/** Postgres allows six dimensions. */
const deepestArray = 6;

export function parseArrayLiteral(text: string, delimiter: string): ArrayLiteral | null {
  let at = 0;
  if (text.charCodeAt(0) === 91 /* [ */) {
    at = text.indexOf('=') + 1;
    if (at === 0) return null;
  }
  const delimiterCode = delimiter.charCodeAt(0);

  const quoted = (): string | null => {
    at += 1;
    let result = '';
    let from = at;
    for (; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code === 92 /* \ */) {
        result += text.slice(from, at);
        at += 1;
        from = at;
      } else if (code === 34 /* " */) {
        result += text.slice(from, at);
        at += 1;
        return result;
      }
    }
    return null;
  };
  const bare = (): string => {
    const from = at;
    let escaped = false;
    for (; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code === 92 /* \ */) {
        escaped = true;
        at += 1;
      } else if (code === delimiterCode || code === 125 /* } */ || code === 123 /* { */ || code === 34 /* " */) break;
    }
    const found = text.slice(from, Math.min(at, text.length));
    return escaped ? found.replace(/\\(.)/gs, '$1') : found;
  };
  const list = (depth: number): ArrayLiteral | null => {
    if (depth > deepestArray || text.charCodeAt(at) !== 123) return null;
    at += 1;
    const result: ArrayLiteral = [];
    if (text.charCodeAt(at) === 125) {
      at += 1;
      return result;
    }
    for (;;) {
      const code = text.charCodeAt(at);
      if (code === 123) {
        const inner = list(depth + 1);
        if (inner === null) return null;
        result.push(inner);
      } else if (code === 34) {
        const element = quoted();
        if (element === null) return null;
        result.push(element);
      } else {
        const element = bare();
        if (element === '') return null;
        result.push(element.length === 4 && element.toUpperCase() === 'NULL' ? null : element);
      }
      const next = text.charCodeAt(at);
      at += 1;
      if (next === 125) return result;
      if (next !== delimiterCode) return null;
    }
  };

  const result = list(1);
  return result !== null && at === text.length ? result : null;
}

/** A composite value `(a,"b c",)` as the texts of its members; an empty member is null. */
export function parseCompositeLiteral(text: string): (string | null)[] | null {
  const last = text.length - 1;
  if (text.charCodeAt(0) !== 40 /* ( */ || text.charCodeAt(last) !== 41 /* ) */ || last < 1) return null;
  const members: (string | null)[] = [];
  if (last === 1) return [null];
  let at = 1;
  for (;;) {
    const member = readMember(text, at, last, isComma);
    if (member === null) return null;
    members.push(member.text);
    at = member.end;
    if (at === last) return members;
    at += 1;
  }
}

export interface RangeLiteral {
  /** Null: unbounded. */
  readonly lower: string | null;
  readonly upper: string | null;
  readonly lowerExclusive: boolean;
  readonly upperExclusive: boolean;
}

/** A range `[a,b)`, or 'empty'. */
export function parseRangeLiteral(text: string): RangeLiteral | 'empty' | null {
  if (text === 'empty') return 'empty';
  const range = readRange(text, 0);
  return range !== null && range.end === text.length ? range.value : null;
}

/** A multirange `{[a,b),[c,d)}`. */
export function parseMultirangeLiteral(text: string): RangeLiteral[] | null {
  if (text === '{}') return [];
  if (text.charCodeAt(0) !== 123) return null;
  const ranges: RangeLiteral[] = [];
  let at = 1;
  for (;;) {
    const range = readRange(text, at);
    if (range === null) return null;
    ranges.push(range.value);
    at = range.end + 1;
    const next = text.charCodeAt(range.end);
    if (next === 125) return at === text.length ? ranges : null;
    if (next !== 44) return null;
  }
}

function readRange(text: string, from: number): { value: RangeLiteral; end: number } | null {
  const opening = text.charCodeAt(from);
  if (opening !== 91 && opening !== 40) return null;
  const lower = readMember(text, from + 1, text.length, isComma);
  if (lower === null || text.charCodeAt(lower.end) !== 44) return null;
  const upper = readMember(text, lower.end + 1, text.length, isRangeEnd);
  if (upper === null || upper.end >= text.length) return null;
  return {
    value: {
      lower: lower.text,
      upper: upper.text,
      lowerExclusive: opening === 40,
      upperExclusive: text.charCodeAt(upper.end) === 41,
    },
    end: upper.end + 1,
  };
}

const isComma = (code: number): boolean => code === 44;
const isRangeEnd = (code: number): boolean => code === 93 || code === 41;

/** One member, quoted in whole or in part, up to `last` or an ending character outside quotes. Empty and unquoted: null. */
function readMember(
  text: string,
  start: number,
  last: number,
  ends: (code: number) => boolean,
): { text: string | null; end: number } | null {
  let at = start;
  let result = '';
  let from = at;
  let quoting = false;
  let quoted = false;
  for (; at < last; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 34 /* " */) {
      result += text.slice(from, at);
      if (quoting && text.charCodeAt(at + 1) === 34) {
        at += 1;
        from = at;
      } else {
        quoting = !quoting;
        quoted = true;
        from = at + 1;
      }
    } else if (code === 92 /* \ */) {
      result += text.slice(from, at);
      at += 1;
      from = at;
    } else if (!quoting && ends(code)) break;
  }
  if (quoting || at > last) return null;
  result += text.slice(from, at);
  return { text: result === '' && !quoted ? null : result, end: at };
}
