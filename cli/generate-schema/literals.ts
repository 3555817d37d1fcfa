/** Names inside string literals and comments: nothing in them can end either, or be taken for something else by an eye. */

/** What would not be seen as it is, or breaks lines: control and format characters, spaces other than the space, surrogates that stand alone. */
const UNSEEN = /[\p{C}\p{Z}]/u;

export interface LiteralSyntax {
  readonly quote: '"' | "'";
  /** Characters that need a backslash, besides the quote and the backslash. */
  readonly special: string;
  /** Escapes of other characters: of UTF-16 units, `\u000b`, or of code points, `\u{b}`. */
  readonly unicode: 'units' | 'code points';
}

export function literal(text: string, { quote, special, unicode }: LiteralSyntax): string {
  let inner = '';
  for (const character of text) {
    if (character === quote || character === '\\' || special.includes(character)) inner += `\\${character}`;
    else if (isSeen(character)) inner += character;
    else inner += unicode === 'units' ? unitEscapes(character) : `\\u{${codeOf(character)}}`;
  }
  return `${quote}${inner}${quote}`;
}

/** For a comment that ends with the line. */
export function inComment(text: string): string {
  return Array.from(text, (character) => (isSeen(character) ? character : `\\u{${codeOf(character)}}`)).join('');
}

const isSeen = (character: string): boolean => character === ' ' || !UNSEEN.test(character);
const codeOf = (character: string): string => character.codePointAt(0)!.toString(16);
const unitEscapes = (character: string): string =>
  character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
