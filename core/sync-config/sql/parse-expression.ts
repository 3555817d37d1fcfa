import { SqlError, type BinaryOperator, type CaseWhen, type Expr, type Name, type Span } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { rejectOperator, unsupportedOperator } from './unsupported-operator.ts';

/** Binding powers, as in SQLite (open question 9 of S chapter 23); higher binds tighter. */
const OR = 1;
const AND = 2;
const NOT = 3;
const EQUALITY = 4;
const COMPARISON = 5;
const UNARY = 10;
const POSTFIX = 11;
const BINARY: Readonly<Record<string, { readonly power: number; readonly op: BinaryOperator }>> = {
  '=': { power: EQUALITY, op: '=' },
  '!=': { power: EQUALITY, op: '!=' },
  '<>': { power: EQUALITY, op: '!=' },
  '<': { power: COMPARISON, op: '<' },
  '>': { power: COMPARISON, op: '>' },
  '<=': { power: COMPARISON, op: '<=' },
  '>=': { power: COMPARISON, op: '>=' },
  '&': { power: 6, op: '&' },
  '|': { power: 6, op: '|' },
  '<<': { power: 6, op: '<<' },
  '>>': { power: 6, op: '>>' },
  '+': { power: 7, op: '+' },
  '-': { power: 7, op: '-' },
  '*': { power: 8, op: '*' },
  '/': { power: 8, op: '/' },
  '%': { power: 8, op: '%' },
  '||': { power: 9, op: '||' },
  '->': { power: 9, op: '->' },
  '->>': { power: 9, op: '->>' },
};
const PREFIX_OPERATORS = new Set(['-', '+', '~']);

/** One expression or condition. Throws `SqlError` at the first thing that is not understood. */
export function parseExpression(cursor: Cursor, minimum = 0): Expr {
  return cursor.nested(() => {
    let left = parsePrefix(cursor);
    for (;;) {
      const operator = cursor.peek();
      const longer = parseInfix(cursor, left, minimum);
      if (longer === null) return left;
      cursor.countOperator(operator);
      left = longer;
    }
  });
}

function parseInfix(cursor: Cursor, left: Expr, minimum: number): Expr | null {
  const token = cursor.peek();
  const over = (): Span => ({ start: left.start, end: cursor.spanFrom(left.start).end });
  if (token.kind === 'symbol') {
    if (token.text === '::' && POSTFIX > minimum) {
      cursor.next();
      const type = cursor.name('the name of a type after ::');
      return { kind: 'cast', operand: left, type, ...over() };
    }
    if (token.text === '&&' && EQUALITY > minimum) {
      cursor.next();
      const right = parseExpression(cursor, EQUALITY);
      return { kind: 'overlaps', left, right, ...over() };
    }
    if (unsupportedOperator(cursor) !== null) rejectOperator(cursor);
    const binary = BINARY[token.text];
    if (binary === undefined || binary.power <= minimum) return null;
    cursor.next();
    const right = parseExpression(cursor, binary.power);
    warnPrecedence(cursor, binary.power, right, token);
    return { kind: 'binary', op: binary.op, left, right, opSpan: token, ...over() };
  }
  if (token.kind !== 'word') return null;
  if (token.text === 'or' || token.text === 'and') {
    const power = token.text === 'or' ? OR : AND;
    if (power <= minimum) return null;
    cursor.next();
    const right = parseExpression(cursor, power);
    return { kind: 'binary', op: token.text, left, right, opSpan: token, ...over() };
  }
  if (unsupportedOperator(cursor) !== null) rejectOperator(cursor);
  return EQUALITY > minimum ? parseTest(cursor, left) : null;
}

/** `IS [NOT] NULL`, `[NOT] IN`, `[NOT] BETWEEN`. */
function parseTest(cursor: Cursor, operand: Expr): Expr | null {
  const start = operand.start;
  if (cursor.acceptWord('is')) {
    const negated = cursor.acceptWord('not');
    if (!cursor.isWord('null')) {
      throw new SqlError(
        'PSYNC_R2205',
        'Only IS NULL and IS NOT NULL are supported; compare other values with =.',
        cursor.peek(),
      );
    }
    cursor.next();
    // SQLite would read `x IS (NULL + 1)`
    endOfTest(cursor, 'IS NULL');
    return { kind: 'isNull', operand, negated, ...cursor.spanFrom(start) };
  }
  const negated = cursor.isWord('not') && acceptNegation(cursor);
  if (cursor.acceptWord('in')) {
    // SQLite would read `(x IN (1, 2)) + 1`
    const set = cursor.isSymbol('(') ? parseParenthesis(cursor) : parseExpression(cursor, EQUALITY);
    endOfTest(cursor, 'IN (…)');
    return { kind: 'in', operand, set, negated, ...cursor.spanFrom(start) };
  }
  if (cursor.acceptWord('between')) {
    const low = parseExpression(cursor, EQUALITY);
    cursor.expectWord('and', 'between the limits of BETWEEN');
    const high = parseExpression(cursor, EQUALITY);
    return { kind: 'between', operand, low, high, negated, ...cursor.spanFrom(start) };
  }
  if (negated) rejectOperator(cursor);
  return null;
}

/** Consumes the NOT of `NOT IN`, `NOT LIKE` and so on, but no other. */
function acceptNegation(cursor: Cursor): boolean {
  const [not, operator] = [cursor.peek(), cursor.peek(1)];
  if (cursor.isWord('in', 1) || cursor.isWord('between', 1) || unsupportedOperator(cursor, 1) !== null) {
    return cursor.next() === not;
  }
  if (cursor.isWord('null', 1)) {
    const span = { start: not.start, end: operator.end };
    throw new SqlError('PSYNC_R2205', 'NOT NULL is no test here; write IS NOT NULL.', span);
  }
  const { power, op } = (operator.kind === 'symbol' ? BINARY[operator.text] : undefined) ?? {};
  if (power !== EQUALITY && power !== COMPARISON) return false;
  const instead = op === '=' ? 'a != b' : op === '!=' ? 'a = b' : `NOT (a ${operator.text} b)`;
  throw new SqlError('PSYNC_R2101', `Found NOT before ${operator.text}; write ${instead}.`, {
    start: not.start,
    end: operator.end,
  });
}

/** An operator that binds tighter than the test before it would be read in a way that nobody means. */
function endOfTest(cursor: Cursor, test: string): void {
  const following = cursor.peek();
  if (following.kind !== 'symbol' || (following.text !== '::' && (BINARY[following.text]?.power ?? 0) <= EQUALITY))
    return;
  throw new SqlError(
    'PSYNC_R2101',
    `Found ${following.text} after ${test}: put ${test} and what it tests in parentheses.`,
    following,
  );
}

/** Read left to right with equal precedence, `a + b * c` would be something else: say so (open question 9). */
function warnPrecedence(cursor: Cursor, power: number, right: Expr, operator: Span): void {
  if (power <= COMPARISON || right.kind !== 'binary') return;
  cursor.warn({
    code: 'PSYNC_R2106',
    message: `The operator ${right.op} binds tighter here, as in SQLite; add parentheses to make that visible.`,
    start: operator.start,
    end: operator.end,
  });
}

function parsePrefix(cursor: Cursor): Expr {
  const token = cursor.peek();
  if (token.kind === 'symbol') {
    if (token.text === '(') return parseParenthesis(cursor);
    if (PREFIX_OPERATORS.has(token.text)) {
      cursor.next();
      cursor.countOperator(token);
      const operand = parseExpression(cursor, UNARY);
      return { kind: 'unary', op: token.text as '-' | '+' | '~', operand, ...cursor.spanFrom(token.start) };
    }
    return cursor.fail('an expression');
  }
  switch (token.kind) {
    case 'string':
      cursor.next();
      return { kind: 'string', value: token.text, start: token.start, end: token.end };
    case 'integer':
    case 'real':
      cursor.next();
      return { kind: token.kind, text: token.text, start: token.start, end: token.end };
    case 'word':
      return parseWord(cursor);
    case 'quoted':
      return parseNamed(cursor);
    default:
      return cursor.fail('an expression');
  }
}

function parseWord(cursor: Cursor): Expr {
  const token = cursor.peek();
  const { start, end } = token;
  switch (token.text) {
    case 'null':
      cursor.next();
      return { kind: 'null', start, end };
    case 'true':
    case 'false':
      cursor.next();
      return { kind: 'boolean', value: token.text === 'true', start, end };
    case 'not': {
      cursor.next();
      cursor.countOperator(token);
      const operand = parseExpression(cursor, NOT);
      return { kind: 'unary', op: 'not', operand, ...cursor.spanFrom(start) };
    }
    case 'case':
      return parseCase(cursor);
    case 'cast':
      if (cursor.isSymbol('(', 1)) return parseCast(cursor);
      break;
    case 'array':
      if (cursor.isSymbol('[', 1)) return parseList(cursor, '[', ']');
      break;
    case 'row':
      if (cursor.isSymbol('(', 1)) return parseList(cursor, '(', ')');
      break;
    case 'exists':
      throw new SqlError('PSYNC_R2205', 'EXISTS is not supported; write column IN (SELECT …).', token);
  }
  return parseNamed(cursor);
}

function parseList(cursor: Cursor, open: string, close: string): Expr {
  const { start } = cursor.next();
  cursor.expectSymbol(open, 'before the values');
  const items: Expr[] = [];
  while (!cursor.isSymbol(close)) {
    if (items.length > 0 && !cursor.acceptComma()) cursor.fail('"," between values');
    items.push(parseExpression(cursor));
  }
  cursor.next();
  return { kind: 'list', items, ...cursor.spanFrom(start) };
}

function parseParenthesis(cursor: Cursor): Expr {
  const { start } = cursor.next();
  if (cursor.isWord('select') || cursor.isWord('with')) {
    const select = cursor.subquery();
    cursor.expectSymbol(')', 'after the subquery');
    return { kind: 'subquery', select, ...cursor.spanFrom(start) };
  }
  const inner = parseExpression(cursor);
  if (!cursor.isSymbol(',')) {
    cursor.expectSymbol(')', 'after the expression');
    return { kind: 'group', inner, ...cursor.spanFrom(start) };
  }
  const items = [inner];
  while (cursor.acceptComma()) items.push(parseExpression(cursor));
  cursor.expectSymbol(')', 'after the values');
  return { kind: 'list', items, ...cursor.spanFrom(start) };
}

function parseCase(cursor: Cursor): Expr {
  const { start } = cursor.next();
  const subject = cursor.isWord('when') ? null : parseExpression(cursor);
  const whens: CaseWhen[] = [];
  while (cursor.acceptWord('when')) {
    const when = parseExpression(cursor);
    cursor.expectWord('then', 'after the condition of WHEN');
    whens.push({ when, then: parseExpression(cursor) });
  }
  if (whens.length === 0) cursor.fail('WHEN');
  const otherwise = cursor.acceptWord('else') ? parseExpression(cursor) : null;
  cursor.expectWord('end', 'at the end of CASE');
  return { kind: 'case', subject, whens, otherwise, ...cursor.spanFrom(start) };
}

function parseCast(cursor: Cursor): Expr {
  const { start } = cursor.next();
  cursor.next();
  const operand = parseExpression(cursor);
  cursor.expectWord('as', 'and a type in CAST');
  const type = cursor.name('the name of a type');
  cursor.expectSymbol(')', 'after the type of CAST');
  return { kind: 'cast', operand, type, ...cursor.spanFrom(start) };
}

/** A column or a function call, with its qualifier. */
function parseNamed(cursor: Cursor): Expr {
  const first = cursor.name('an expression', 'expression');
  if (cursor.acceptSymbol('.')) {
    if (cursor.isSymbol('*')) cursor.fail('a column; * is only possible as an item of SELECT');
    const second = cursor.name('a column or function after the dot', 'qualified');
    if (cursor.isSymbol('(')) return parseCall(cursor, first, second);
    return { kind: 'column', table: first, name: second, start: first.start, end: second.end };
  }
  if (cursor.isSymbol('(')) return parseCall(cursor, null, first);
  return { kind: 'column', table: null, name: first, start: first.start, end: first.end };
}

function parseCall(cursor: Cursor, schema: Name | null, name: Name): Expr {
  const { start } = schema ?? name;
  const args = parseArguments(cursor, schema ?? name);
  if (cursor.isWord('over') || cursor.isWord('filter')) {
    throw new SqlError(
      'PSYNC_R2201',
      'Window functions are not supported: expressions see one row only.',
      cursor.peek(),
    );
  }
  return { kind: 'call', schema, name, args, ...cursor.spanFrom(start) };
}

/** `( [expr {, expr}] )` behind the name of a function. */
export function parseArguments(cursor: Cursor, { start }: Span): Expr[] {
  cursor.expectSymbol('(', 'before the arguments');
  const args: Expr[] = [];
  if (cursor.isSymbol('*') || cursor.isWord('distinct')) {
    while (cursor.peek().kind !== 'end' && !cursor.isSymbol(')')) cursor.next();
    cursor.acceptSymbol(')');
    throw new SqlError(
      'PSYNC_R2201',
      'Aggregate functions are not supported: expressions see one row only.',
      cursor.spanFrom(start),
    );
  }
  while (!cursor.isSymbol(')')) {
    if (args.length > 0 && !cursor.acceptComma()) cursor.fail('"," between arguments');
    args.push(parseExpression(cursor));
  }
  cursor.next();
  return args;
}
