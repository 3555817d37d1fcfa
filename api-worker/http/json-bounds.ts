/** What JSON of a client may look like, checked before it is parsed: parsing holds up everybody else, and what it makes takes memory (G9). */
import { codedError } from '#core/platform/errors/coded-error.ts';

/** A request has five levels around its parameters. */
const MAX_DEPTH = 64;
/** Positions in a hundred thousand buckets. Each value more than the first in a list or object has a comma. */
const MAX_COMMAS = 250_000;
/** Of one object. An object with very many costs a microsecond for each whenever it is looked at. */
const MAX_MEMBERS = 10_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING = { list: 0x5b, object: 0x7b };
const CLOSING = { list: 0x5d, object: 0x7d };

/** Members of the open objects, by level; of lists, which have no bound of their own, a number that never gets there. */
const members = new Float64Array(MAX_DEPTH + 1);

/**
 * Throws PSYNC_S2001 (400) for text that is nested deeper, or has more values, than any request. One pass without allocation, a few milliseconds a
 * megabyte; text that is no JSON passes or not.
 */
export function assertModestJson(text: string): void {
  let depth = 0;
  let commas = 0;
  members[0] = Number.NEGATIVE_INFINITY;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    switch (code) {
      case QUOTE:
        at = endOfString(text, at);
        break;
      case COMMA:
        if (++commas > MAX_COMMAS) throw tooMuch(`it has more than ${MAX_COMMAS} values`);
        if (++members[depth]! > MAX_MEMBERS) throw tooMuch(`one of its objects has more than ${MAX_MEMBERS} members`);
        break;
      case OPENING.list:
      case OPENING.object:
        if (++depth > MAX_DEPTH) throw tooMuch(`it is nested deeper than ${MAX_DEPTH} levels`);
        members[depth] = code === OPENING.object ? 1 : Number.NEGATIVE_INFINITY;
        break;
      case CLOSING.list:
      case CLOSING.object:
        if (depth > 0) depth--;
        break;
    }
  }
}

/** Index of the quote that ends the string which begins at `start`; the end of the text when there is none. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let before = at - 1;
    while (text.charCodeAt(before) === BACKSLASH) before--;
    if ((at - before) % 2 === 1) return at;
  }
  return text.length;
}

function tooMuch(what: string): Error {
  return codedError('PSYNC_S2001', `The request body is refused: ${what}`, { status: 400 });
}
