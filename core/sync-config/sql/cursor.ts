import { SqlError, type Name, type Select, type Span } from './ast.ts';
import { tokenize, type Locate, type Token } from './lexer.ts';

/** Words that cannot be a bare identifier: they begin or join clauses and expressions. */
const RESERVED = new Set(
  `select from where and or not in is null true false case when then else end between as on join inner left right full outer
  cross natural using group having order limit offset union intersect except distinct window with exists cast like glob regexp
  match escape collate all any isnull notnull over filter values fetch for`.split(/\s+/),
);

/** Of these, what is an identifier where an expression begins: nothing else can begin with them there (S-143). */
const NAMES_IN_EXPRESSIONS = new Set(
  `left right full outer inner cross natural glob regexp like match escape collate filter over window offset limit fetch for
  values any isnull notnull cast`.split(/\s+/),
);

/** What no item of a list begins with. */
const CLOSING = new Set([')', ']', ';']);
const AFTER_LISTS = new Set(['from', 'where', 'join']);

const MAX_NESTING = 100;
const MAX_OPERATORS = 1000;

/** Reads tokens one after the other; shared by the parsers of expressions and of selects. */
export interface Cursor {
  peek(ahead?: number): Token;
  next(): Token;
  /** True when the next token is this keyword (unquoted). */
  isWord(word: string, ahead?: number): boolean;
  isSymbol(symbol: string, ahead?: number): boolean;
  /** Consumes the keyword or symbol if it is next. */
  acceptWord(word: string): boolean;
  acceptSymbol(symbol: string): boolean;
  expectWord(word: string, context: string): Token;
  expectSymbol(symbol: string, context: string): Token;
  /** Consumes a comma if it is next. Throws when nothing can follow it. */
  acceptComma(): boolean;
  /** True when the next token can be an identifier. */
  isName(ahead?: number): boolean;
  /** `qualified`: after a dot or AS every word is a name. `expression`: where an expression begins. */
  name(context: string, where?: 'qualified' | 'expression'): Name;
  /** From a start offset to the end of the last consumed token. */
  spanFrom(start: number): Span;
  fail(context: string): never;
  /** Runs `parse` one nesting level deeper; bounded. */
  nested<T>(parse: () => T): T;
  /** A SELECT inside of the query, without its parentheses. */
  subquery(): Select;
  countOperator(span: Span): void;
  warn(finding: SqlWarning): void;
  readonly warnings: readonly SqlWarning[];
}
export interface SqlWarning extends Span {
  readonly code: 'PSYNC_R2106';
  readonly message: string;
}

/**
 * Throws `SqlError` when the text has no valid tokens. `parseSelect` is handed in since expressions contain selects and selects
 * contain expressions.
 */
export function createCursor(sql: string, locate: Locate, parseSelect: (cursor: Cursor) => Select): Cursor {
  const tokens = tokenize(sql, locate);
  const last = tokens.length - 1;
  const warnings: SqlWarning[] = [];
  let at = 0;
  let depth = 0;
  let operators = 0;
  const tokenAt = (index: number): Token => tokens[Math.min(index, last)] as Token;

  const cursor: Cursor = {
    warnings,
    peek: (ahead = 0) => tokenAt(at + ahead),
    next: () => tokenAt(at < last ? at++ : last),
    isWord: (word, ahead = 0) => {
      const token = tokenAt(at + ahead);
      return token.kind === 'word' && token.text === word;
    },
    isSymbol: (symbol, ahead = 0) => {
      const token = tokenAt(at + ahead);
      return token.kind === 'symbol' && token.text === symbol;
    },
    acceptWord: (word) => cursor.isWord(word) && (cursor.next(), true),
    acceptSymbol: (symbol) => cursor.isSymbol(symbol) && (cursor.next(), true),
    expectWord: (word, context) =>
      cursor.isWord(word) ? cursor.next() : cursor.fail(`${word.toUpperCase()} ${context}`),
    expectSymbol: (symbol, context) =>
      cursor.isSymbol(symbol) ? cursor.next() : cursor.fail(`"${symbol}" ${context}`),
    acceptComma: () => {
      const comma = cursor.peek();
      if (!cursor.acceptSymbol(',')) return false;
      checkFollowed(comma, cursor);
      return true;
    },
    isName: (ahead = 0) => {
      const token = tokenAt(at + ahead);
      return token.kind === 'quoted' || (token.kind === 'word' && !RESERVED.has(token.text));
    },
    name: (context, where) => {
      const free = cursor.peek().kind === 'word' && where !== undefined;
      const word = free && (where === 'qualified' || NAMES_IN_EXPRESSIONS.has(cursor.peek().text));
      if (!word && !cursor.isName()) cursor.fail(context);
      const token = cursor.next();
      return {
        text: token.text,
        written: token.written,
        quoted: token.kind === 'quoted',
        start: token.start,
        end: token.end,
      };
    },
    spanFrom: (start) => ({ start, end: Math.max(start, tokenAt(at - 1 < 0 ? 0 : at - 1).end) }),
    fail: (context) => {
      throw unexpected(cursor.peek(), context);
    },
    nested: (parse) => {
      if (++depth > MAX_NESTING) {
        throw new SqlError(
          'PSYNC_R2105',
          `The query is nested deeper than ${MAX_NESTING} levels; flatten it.`,
          cursor.peek(),
        );
      }
      const result = parse();
      depth--;
      return result;
    },
    subquery: () => cursor.nested(() => parseSelect(cursor)),
    countOperator: (span) => {
      if (++operators > MAX_OPERATORS) {
        throw new SqlError('PSYNC_R2105', `The query has more than ${MAX_OPERATORS} operators; split it.`, span);
      }
    },
    warn: (finding) => {
      warnings.push(finding);
    },
  };
  return cursor;
}

function unexpected(token: Token, context: string): SqlError {
  if (token.kind === 'end') {
    return new SqlError('PSYNC_R2103', `The query ends too early: expected ${context}.`, token);
  }
  const found = token.written.slice(0, 40);
  const quote =
    token.kind === 'word' && RESERVED.has(token.text) ? ` Put ${found} in double quotes if it is a name.` : '';
  return new SqlError('PSYNC_R2101', `Found ${found}: expected ${context}.${quote}`, token);
}

/** Throws where a comma, which has been consumed, is the last thing of a list. */
function checkFollowed(comma: Token, cursor: Cursor): void {
  const { kind, text, written } = cursor.peek();
  // in `id, from, to` it is meant as a name
  const keyword = kind === 'word' && AFTER_LISTS.has(text) && !cursor.isSymbol(',', 1) && !cursor.isWord('from', 1);
  if (kind !== 'end' && !keyword && !(kind === 'symbol' && CLOSING.has(text))) return;
  const where = kind === 'end' ? 'at the end of the query' : `before ${written}`;
  throw new SqlError('PSYNC_R2101', `Remove the comma ${where}, or write what is missing there.`, comma);
}
