/**
 * Strict JSON (RFC 8259) read in place: values are found by offset, nothing is built. Texts from the source are passed
 * on with their numbers and strings exactly as they are (S-272).
 */

/** Depth limit of SQLite's JSON functions. */
const MAX_DEPTH = 1000;

/** Offset of the next character that is not JSON white space. */
export function skipBlank(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === 32 || code === 10 || code === 13 || code === 9) at++;
    else return at;
  }
}

/** Start offset of the root value, or -1 when the text is not valid JSON. */
export function rootOf(text: string): number {
  const start = skipBlank(text, 0);
  const end = valueEnd(text, start, 0);
  return end >= 0 && skipBlank(text, end) === text.length ? start : -1;
}

/** Offset after the value that starts at `at`, or -1 when there is no valid value. */
export function valueEnd(text: string, at: number, depth: number): number {
  switch (text.charCodeAt(at)) {
    case 123: // {
      return depth >= MAX_DEPTH ? -1 : containerEnd(text, at, depth + 1, 125);
    case 91: // [
      return depth >= MAX_DEPTH ? -1 : containerEnd(text, at, depth + 1, 93);
    case 34:
      return stringEnd(text, at);
    case 116:
      return text.startsWith('true', at) ? at + 4 : -1;
    case 102:
      return text.startsWith('false', at) ? at + 5 : -1;
    case 110:
      return text.startsWith('null', at) ? at + 4 : -1;
    default:
      return numberEnd(text, at);
  }
}

function containerEnd(text: string, start: number, depth: number, close: number): number {
  let at = skipBlank(text, start + 1);
  if (text.charCodeAt(at) === close) return at + 1;
  for (;;) {
    if (close === 125) {
      if (text.charCodeAt(at) !== 34) return -1;
      at = stringEnd(text, at);
      if (at < 0) return -1;
      at = skipBlank(text, at);
      if (text.charCodeAt(at) !== 58) return -1;
      at = skipBlank(text, at + 1);
    }
    at = valueEnd(text, at, depth);
    if (at < 0) return -1;
    at = skipBlank(text, at);
    const code = text.charCodeAt(at);
    if (code === close) return at + 1;
    if (code !== 44) return -1;
    at = skipBlank(text, at + 1);
  }
}

/** Offset after the string that starts at `at` (a quote), or -1. */
export function stringEnd(text: string, start: number): number {
  let at = start + 1;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === 34) return at + 1;
    if (code === 92) {
      const escaped = text.charCodeAt(at + 1);
      if (escaped === 117) {
        for (let digit = at + 2; digit < at + 6; digit++) if (!isHex(text.charCodeAt(digit))) return -1;
        at += 6;
      } else if ('"\\/bfnrt'.includes(text[at + 1] ?? '-')) {
        at += 2;
      } else {
        return -1;
      }
    } else if (code < 32 || Number.isNaN(code)) {
      return -1;
    } else {
      at++;
    }
  }
}
const isDigit = (code: number): boolean => code >= 48 && code <= 57;
const isHex = (code: number): boolean => isDigit(code) || (code >= 97 && code <= 102) || (code >= 65 && code <= 70);

function numberEnd(text: string, start: number): number {
  let at = text.charCodeAt(start) === 45 ? start + 1 : start;
  if (text.charCodeAt(at) === 48) at++;
  else if (isDigit(text.charCodeAt(at))) while (isDigit(text.charCodeAt(at))) at++;
  else return -1;
  if (text.charCodeAt(at) === 46) {
    if (!isDigit(text.charCodeAt(++at))) return -1;
    while (isDigit(text.charCodeAt(at))) at++;
  }
  const code = text.charCodeAt(at);
  if (code === 101 || code === 69) {
    const sign = text.charCodeAt(++at);
    if (sign === 43 || sign === 45) at++;
    if (!isDigit(text.charCodeAt(at))) return -1;
    while (isDigit(text.charCodeAt(at))) at++;
  }
  return at;
}

/** The characters of a valid JSON string (offsets of its quotes included). */
export function stringValue(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end - 1);
  return raw.includes('\\') ? (JSON.parse(text.slice(start, end)) as string) : raw;
}

/** Calls `visit` for each member or element of the valid container at `start`, until it returns true. */
export function eachChild(
  text: string,
  start: number,
  visit: (keyStart: number, keyEnd: number, valueStart: number, valueStop: number, index: number) => boolean,
): void {
  const object = text.charCodeAt(start) === 123;
  const close = object ? 125 : 93;
  let at = skipBlank(text, start + 1);
  for (let index = 0; text.charCodeAt(at) !== close; index++) {
    let keyStart = -1;
    let keyEnd = -1;
    if (object) {
      keyStart = at;
      keyEnd = stringEnd(text, at);
      at = skipBlank(text, skipBlank(text, keyEnd) + 1);
    }
    const valueStop = valueEnd(text, at, 0);
    if (visit(keyStart, keyEnd, at, valueStop, index)) return;
    at = skipBlank(text, valueStop);
    if (text.charCodeAt(at) === 44) at = skipBlank(text, at + 1);
  }
}

/** The value between the offsets without white space between tokens, everything else unchanged. */
export function compact(text: string, start: number, end: number): string {
  let result = '';
  let from = start;
  for (let at = start; at < end;) {
    const code = text.charCodeAt(at);
    if (code === 34) {
      at = stringEnd(text, at);
    } else if (code === 32 || code === 10 || code === 13 || code === 9) {
      result += text.slice(from, at);
      at = skipBlank(text, at);
      from = at;
    } else {
      at++;
    }
  }
  return result + text.slice(from, end);
}
