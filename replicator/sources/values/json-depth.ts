/** How deeply JSON of the source is nested: levels of arrays and objects, `[]` being one (R-61, S-273, S-642). */
import { MAX_JSON_DEPTH } from '#core/platform/limits.ts';

/** Whether a valid JSON text, `bytes[from…to)` in UTF-8, is nested deeper than the limit. */
export function isTooDeep(bytes: Uint8Array, from: number, to: number): boolean {
  // Each level takes two characters.
  if (to - from <= 2 * MAX_JSON_DEPTH) return false;
  let depth = 0;
  for (let at = from; at < to; at += 1) {
    const byte = bytes[at]!;
    if (byte === 0x22 /* " */) at = stringEnd(bytes, at, to);
    else if (byte === 0x7b /* { */ || byte === 0x5b /* [ */) {
      depth += 1;
      if (depth > MAX_JSON_DEPTH) return true;
    } else if (byte === 0x7d || byte === 0x5d) depth -= 1;
  }
  return false;
}

/** The same for a text. */
export function isTextTooDeep(text: string): boolean {
  if (text.length <= 2 * MAX_JSON_DEPTH) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      at += 1;
      while (at < text.length && text.charCodeAt(at) !== 0x22) at += text.charCodeAt(at) === 0x5c ? 2 : 1;
    } else if (code === 0x7b || code === 0x5b) {
      depth += 1;
      if (depth > MAX_JSON_DEPTH) return true;
    } else if (code === 0x7d || code === 0x5d) depth -= 1;
  }
  return false;
}

/** Offset of the quote that ends the string beginning at `start`. */
function stringEnd(bytes: Uint8Array, start: number, to: number): number {
  let at = start + 1;
  while (at < to && bytes[at] !== 0x22) at += bytes[at] === 0x5c /* \ */ ? 2 : 1;
  return at;
}
