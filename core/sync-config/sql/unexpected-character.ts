/** Characters that no token begins with: what somebody meant by them, and what to write instead. */
import { SqlError } from './ast.ts';

const SESSION_VALUES = "values of the session are functions, such as auth.user_id() or subscription.parameter('name')";

/** Operators of Postgres and others, longest first. */
const OPERATORS: readonly (readonly [operators: readonly string[], instead: string])[] = [
  [['@>', '<@'], 'write x IN column, or column && array'],
  [['@@', '@?'], 'write -> or ->> to get at members of JSON'],
  [['?|', '?&'], 'write x IN json_keys(column)'],
  [['#>>', '#>', '#-'], "write -> or ->> with a path such as '$.a.b'"],
  [['!~~*', '!~~', '!~*', '!~'], "compare a prefix with substring(x, 1, n), or write instr(x, '…') = 0"],
  [[':='], 'compare with ='],
  [['!'], 'write NOT, or !='],
  [['^', '#'], 'calculate that in the source'],
];
const PLACEHOLDER = /^(?:[$:@]\w+|\$\$|\?)/;
const QUOTES = /[‘’‚‛“”„‟«»´]/;
const SPACES = /[\p{Z}\p{Cf}\p{Cc}]/u;
const NAME = /[\p{L}\p{N}\p{M}\p{S}_]/u;

/** The finding about the character at `start`; it may mark more than the character, places are those of `sql`. */
export function unexpectedCharacter(sql: string, start: number): SqlError {
  const character = String.fromCodePoint(sql.codePointAt(start) ?? 0);
  const found = (message: string, from: number, to: number): SqlError =>
    new SqlError('PSYNC_R2104', message, { start: from, end: to });

  for (const [operators, instead] of OPERATORS) {
    // <@ begins with a character that is an operator itself
    const at = sql[start - 1] === '<' && character === '@' ? start - 1 : start;
    const operator = operators.find((item) => sql.startsWith(item, at));
    if (operator !== undefined) return found(`${operator} is no operator here; ${instead}.`, at, at + operator.length);
  }
  if (/^\?\s*'/.test(sql.slice(start)))
    return found('? is no operator here; write x IN json_keys(column).', start, start + 1);
  const placeholder = PLACEHOLDER.exec(sql.slice(start, start + 64))?.[0];
  const insideName = character === '$' && /\w/.test(sql[start - 1] ?? '');
  if (placeholder !== undefined && !insideName) {
    return found(`${placeholder} is no placeholder here; ${SESSION_VALUES}.`, start, start + placeholder.length);
  }
  const end = start + character.length;
  const shown = `Character ${JSON.stringify(character)} is not allowed here`;
  if (character === '`') return found(`${shown}; write identifiers in double quotes.`, start, end);
  if (QUOTES.test(character)) return found(`${shown}; write texts in ' and names in ".`, start, end);
  if (SPACES.test(character)) {
    const code = character.codePointAt(0) ?? 0;
    const name = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
    return found(`An invisible character (${name}) stands here; remove it, or write a space.`, start, end);
  }
  if (!NAME.test(character)) return found(`${shown}; remove it, or quote the text or name it belongs to.`, start, end);
  const [from, to] = nameAround(sql, start);
  return found(`${shown}; names with such characters need double quotes.`, from, to);
}

/** The whole name that a letter stands in. */
function nameAround(sql: string, at: number): [from: number, to: number] {
  const before = /[\w\p{L}\p{N}\p{M}]*$/u.exec(sql.slice(Math.max(0, at - 64), at))?.[0].length ?? 0;
  const behind = /^[\p{L}\p{N}\p{M}\p{S}_]+/u.exec(sql.slice(at, at + 64))?.[0].length ?? 1;
  return [at - before, at + behind];
}
