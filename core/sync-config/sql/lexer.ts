import { SqlError } from './ast.ts';
import { unexpectedCharacter } from './unexpected-character.ts';

/**
 * A token; `text` of identifiers is folded unless quoted, of strings and quoted identifiers it is unescaped; `written` is
 * as in the query.
 */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'integer' | 'real' | 'symbol' | 'end';
  readonly text: string;
  readonly written: string;
  readonly start: number;
  readonly end: number;
}

const SYMBOLS = [
  '->>',
  '->',
  '||',
  '<<',
  '>>',
  '<=',
  '>=',
  '!=',
  '<>',
  '==',
  '&&',
  '::',
  '(',
  ')',
  '[',
  ']',
  ',',
  '.',
  '*',
  '/',
  '+',
  '-',
  '%',
  '&',
  '|',
  '~',
  '<',
  '>',
  '=',
  ';',
];

const isDigit = (code: number): boolean => code >= 48 && code <= 57;
const isWordStart = (code: number): boolean => (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95;
const isWord = (code: number): boolean => isWordStart(code) || isDigit(code);
const isSpace = (code: number): boolean => code === 32 || (code >= 9 && code <= 13);

/** Longest query text, in UTF-16 units. */
const MAX_LENGTH = 100_000;

/** Where offsets of the query stand in the whole text. */
export type Locate = (offset: number) => number;

/**
 * All tokens of a query, ending with one of kind `end` (S-30: comments allowed), with their places in the whole text.
 * Throws `SqlError` only.
 */
export function tokenize(sql: string, locate: Locate): Token[] {
  const place = (start: number, end: number) => ({ start: locate(start), end: locate(Math.max(start, end - 1)) + 1 });
  try {
    return scan(sql).map((token) => ({
      ...token,
      written: sql.slice(token.start, token.end),
      ...place(token.start, token.end),
    }));
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    throw new SqlError(error.code, error.message, place(error.start, error.end));
  }
}

type LocalToken = Omit<Token, 'written'>;

function scan(sql: string): LocalToken[] {
  if (sql.length > MAX_LENGTH) {
    throw new SqlError('PSYNC_R2105', `The query is longer than ${MAX_LENGTH} characters; split it.`, {
      start: 0,
      end: 1,
    });
  }
  const tokens: LocalToken[] = [];
  let at = 0;
  while ((at = skipBlank(sql, at)) < sql.length) {
    const token = readToken(sql, at);
    tokens.push(token);
    at = token.end;
  }
  const end = sql.trimEnd().length;
  tokens.push({ kind: 'end', text: '', start: Math.max(0, end - 1), end });
  return tokens;
}

function skipBlank(sql: string, from: number): number {
  let at = from;
  for (;;) {
    while (at < sql.length && isSpace(sql.charCodeAt(at))) at++;
    if (sql.startsWith('--', at)) {
      const end = sql.indexOf('\n', at);
      at = end < 0 ? sql.length : end + 1;
    } else if (sql.startsWith('/*', at)) {
      const end = sql.indexOf('*/', at + 2);
      if (end < 0)
        throw new SqlError('PSYNC_R2102', 'The comment does not end; close it with */.', { start: at, end: at + 2 });
      at = end + 2;
    } else {
      return at;
    }
  }
}

function readToken(sql: string, start: number): LocalToken {
  const code = sql.charCodeAt(start);
  if (isWordStart(code)) {
    let end = start + 1;
    while (end < sql.length && isWord(sql.charCodeAt(end))) end++;
    return { kind: 'word', text: asciiLower(sql.slice(start, end)), start, end };
  }
  if (isDigit(code) || (code === 46 && isDigit(sql.charCodeAt(start + 1)))) return readNumber(sql, start);
  if (code === 39) return readQuoted(sql, start, "'", 'string');
  if (code === 34) return readQuoted(sql, start, '"', 'quoted');
  for (const symbol of SYMBOLS) {
    if (sql.startsWith(symbol, start)) return { kind: 'symbol', text: symbol, start, end: start + symbol.length };
  }
  throw unexpectedCharacter(sql, start);
}

function readNumber(sql: string, start: number): LocalToken {
  let end = start;
  let kind: 'integer' | 'real' = 'integer';
  const digits = (): void => {
    while (end < sql.length && isDigit(sql.charCodeAt(end))) end++;
  };
  digits();
  if (sql[end] === '.' && isDigit(sql.charCodeAt(end + 1))) {
    kind = 'real';
    end++;
    digits();
  }
  const exponent = /^[eE][+-]?\d+/.exec(sql.slice(end, end + 24));
  if (exponent !== null) {
    kind = 'real';
    end += exponent[0].length;
    digits();
  }
  if (end < sql.length && isWord(sql.charCodeAt(end))) {
    while (end < sql.length && isWord(sql.charCodeAt(end))) end++;
    throw new SqlError('PSYNC_R2104', 'A name cannot start with a digit; put it in double quotes.', { start, end });
  }
  return { kind, text: sql.slice(start, end), start, end };
}

function readQuoted(sql: string, start: number, quote: string, kind: 'string' | 'quoted'): LocalToken {
  let text = '';
  let from = start + 1;
  for (;;) {
    const end = sql.indexOf(quote, from);
    if (end < 0) {
      const what = kind === 'string' ? 'string' : 'quoted name';
      throw new SqlError('PSYNC_R2102', `The ${what} does not end; close it with ${quote}.`, {
        start,
        end: sql.length,
      });
    }
    text += sql.slice(from, end);
    if (sql[end + 1] !== quote) {
      if (kind === 'quoted' && text === '') {
        throw new SqlError('PSYNC_R2104', 'A quoted name must not be empty.', { start, end: end + 1 });
      }
      return { kind, text, start, end: end + 1 };
    }
    text += quote;
    from = end + 2;
  }
}

/** Folding of names: ASCII only, as in SQLite. */
export function asciiLower(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
