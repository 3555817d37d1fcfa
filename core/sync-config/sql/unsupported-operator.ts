/** Operators of other dialects, and what to write instead (S-129). */
import { SqlError } from './ast.ts';
import type { Cursor } from './cursor.ts';

const PATTERN = "compare a prefix with substring(x, 1, n), or write instr(x, '…') > 0";
const WORDS: Readonly<Record<string, string>> = {
  like: PATTERN,
  ilike: `${PATTERN}, with lower(x) for x`,
  glob: PATTERN,
  regexp: PATTERN,
  rlike: PATTERN,
  match: PATTERN,
  similar: PATTERN,
  escape: PATTERN,
  collate: 'compare lower(x) or upper(x)',
  isnull: 'write IS NULL',
  notnull: 'write IS NOT NULL',
};
const SYMBOLS: Readonly<Record<string, string>> = { '==': 'write =', '~': PATTERN };
/** They are names as well: operators only where an operand follows. */
const NAMES = new Set(['ilike', 'rlike', 'similar']);

/** What to write instead of the operator behind an operand; null when it is none of these. */
export function unsupportedOperator(cursor: Cursor, ahead = 0): string | null {
  const { kind, text } = cursor.peek(ahead);
  const known = kind === 'symbol' ? SYMBOLS : kind === 'word' ? WORDS : {};
  const instead = Object.hasOwn(known, text) ? (known[text] ?? null) : null;
  if (!NAMES.has(text)) return instead;
  if (text === 'similar') return cursor.isWord('to', ahead + 1) ? instead : null;
  const following = cursor.peek(ahead + 1);
  const operand = ['string', 'integer', 'real'].includes(following.kind) || cursor.isName(ahead + 1);
  return operand || cursor.isSymbol('(', ahead + 1) ? instead : null;
}

/** Throws PSYNC_R2205 for the next token. */
export function rejectOperator(cursor: Cursor): never {
  const token = cursor.peek();
  const instead = unsupportedOperator(cursor) ?? 'use one of the documented operators';
  const similar = token.text === 'similar';
  const operator = similar ? 'SIMILAR TO' : token.text.toUpperCase();
  const { end } = similar ? cursor.peek(1) : token;
  throw new SqlError('PSYNC_R2205', `Operator ${operator} is not supported; ${instead}.`, { start: token.start, end });
}
