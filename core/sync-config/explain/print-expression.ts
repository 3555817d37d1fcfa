/** Expressions of the plan as the SQL that people wrote, or could have written. */
import { renderValue } from '../evaluate/output.ts';
import type { ExprOf, PlanExpr, PlanLeaf, PlanOperator } from '../plan.ts';
import type { SqliteValue } from '../values.ts';

/** How leaves are written where they stand. */
export interface PrintOptions {
  /** Name of the table that metadata belong to (S-688). */
  readonly table: string;
  /** What the rule's expansions, or the expand step, go through; `element.expansion` is the index. */
  readonly expansions: readonly PlanExpr[];
  /** Bucket definitions have other names for what a session brings (S-223…S-229). */
  readonly legacy: boolean;
}

/** Binding powers of sql/parse-expression.ts. */
const OR = 1;
const AND = 2;
const NOT = 3;
const TEST = 4;
const UNARY = 10;
const PRIMARY = 12;
const POWERS: Readonly<Record<PlanOperator, number>> = {
  or: OR,
  and: AND,
  '=': TEST,
  '!=': TEST,
  '<': 5,
  '>': 5,
  '<=': 5,
  '>=': 5,
  '&': 6,
  '|': 6,
  '<<': 6,
  '>>': 6,
  '+': 7,
  '-': 7,
  '*': 8,
  '/': 8,
  '%': 8,
  '||': 9,
  '->': 9,
  '->>': 9,
};

/** Reads as the same expression, except that elements of lists are written as `json_each(list).value`. */
export function printExpression(expr: PlanExpr, options: PrintOptions): string {
  return print(expr, 0, options);
}

/** Parenthesised when it binds less than `minimum`. */
function print(expr: PlanExpr, minimum: number, options: PrintOptions): string {
  const [text, power] = write(expr, options);
  return power < minimum ? `(${text})` : text;
}

type Written = readonly [text: string, power: number];

function write(expr: PlanExpr, options: PrintOptions): Written {
  const at = (node: PlanExpr, minimum = 0): string => print(node, minimum, options);
  switch (expr.kind) {
    case 'null':
      return ['NULL', PRIMARY];
    case 'integer':
      return [expr.value, expr.value.startsWith('-') ? UNARY : PRIMARY];
    case 'real':
      return [expr.value, PRIMARY];
    case 'text':
      return [quoteText(expr.value), PRIMARY];
    case 'unary':
      return writeUnary(expr, at);
    case 'binary': {
      const power = POWERS[expr.op];
      const right = expr.op === '->' || expr.op === '->>' ? at(expr.right) : at(expr.right, power + 1);
      return [`${at(expr.left, power)} ${expr.op.toUpperCase()} ${right}`, power];
    }
    case 'isNull':
      return [`${at(expr.operand, TEST + 1)} IS ${expr.negated ? 'NOT ' : ''}NULL`, TEST];
    case 'between': {
      const limits = `${at(expr.low, TEST + 1)} AND ${at(expr.high, TEST + 1)}`;
      return [`${at(expr.operand, TEST + 1)} ${expr.negated ? 'NOT ' : ''}BETWEEN ${limits}`, TEST];
    }
    case 'inList':
      return [`${at(expr.operand, TEST + 1)} ${expr.negated ? 'NOT ' : ''}IN ${list(expr.items, options)}`, TEST];
    case 'inArray':
      return [`${at(expr.operand, TEST + 1)} ${expr.negated ? 'NOT ' : ''}IN ${array(at(expr.array, TEST + 1))}`, TEST];
    case 'case':
      return [writeCase(expr, at), PRIMARY];
    case 'cast':
      return [`CAST(${at(expr.operand)} AS ${expr.to})`, PRIMARY];
    case 'call':
      return [`${expr.name}(${expr.args.map((arg) => at(arg)).join(', ')})`, PRIMARY];
    default:
      return leaf(expr, options);
  }
}

function writeUnary(
  { op, operand }: Extract<ExprOf<PlanLeaf>, { kind: 'unary' }>,
  at: (node: PlanExpr, minimum?: number) => string,
): Written {
  if (op === 'not') return [`NOT ${at(operand, NOT)}`, NOT];
  // a minus before a number would belong to it: this number was written as a boolean
  if (op === '-' && operand.kind === 'integer' && !operand.value.startsWith('-'))
    return [operand.value === '0' ? '-FALSE' : '-TRUE', UNARY];
  // two minus signs would begin a comment
  return [`${op}${at(operand, PRIMARY)}`, UNARY];
}

/** A list of one is written so that it is not taken for a value in parentheses. */
function list(items: readonly PlanExpr[], options: PrintOptions): string {
  const texts = items.map((item) => print(item, 0, options)).join(', ');
  const [only] = items;
  const isPlain =
    items.length > 1 || (only?.kind === 'integer' && !only.value.startsWith('-')) || only?.kind === 'real';
  const isText = items.length === 1 && only?.kind === 'text' && !only.value.trimStart().startsWith('[');
  return isPlain || isText ? `(${texts})` : `ROW(${texts})`;
}

/** Parentheses behind IN hold a whole set. */
const array = (text: string): string => (text.startsWith('(') ? `(${text})` : text);

function writeCase(expr: Extract<ExprOf<PlanLeaf>, { kind: 'case' }>, at: (node: PlanExpr) => string): string {
  const whens = expr.whens.map(({ when, then }) => ` WHEN ${at(when)} THEN ${at(then)}`).join('');
  const otherwise = expr.otherwise === null ? '' : ` ELSE ${at(expr.otherwise)}`;
  return `CASE${expr.subject === null ? '' : ` ${at(expr.subject)}`}${whens}${otherwise} END`;
}

const METADATA = { schema: 'schema', name: 'table_name', suffix: 'table_suffix' } as const;

function leaf(expr: PlanLeaf, options: PrintOptions): Written {
  switch (expr.kind) {
    case 'column':
      return [quoteName(expr.name), PRIMARY];
    case 'table':
      return options.legacy
        ? ['_table_suffix', PRIMARY]
        : [`${quoteName(options.table)}.${METADATA[expr.what]}()`, PRIMARY];
    case 'element': {
      const list = options.expansions[expr.expansion];
      return [`json_each(${list === undefined ? '' : print(list, 0, options)}).${expr.column}`, PRIMARY];
    }
    case 'parameter':
      return options.legacy ? legacyParameter(expr) : [streamParameter(expr), PRIMARY];
  }
}

type Parameter = Extract<PlanLeaf, { kind: 'parameter' }>;

function streamParameter({ scope, key }: Parameter): string {
  if (key === null) return `${scope}.parameters()`;
  return scope === 'auth' && key === 'sub' ? 'auth.user_id()' : `${scope}.parameter(${quoteText(key)})`;
}

function legacyParameter({ scope, key }: Parameter): Written {
  if (scope === 'auth' && key === 'sub') return ['request.user_id()', PRIMARY];
  const all = `request.${scope === 'auth' ? 'jwt' : 'parameters'}()`;
  return key === null ? [all, PRIMARY] : [`${all} ->> ${quoteText(key)}`, POWERS['->>']];
}

const quoteText = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** Words that are not read as a name where an expression begins. */
const RESERVED = new Set(
  `null true false not case exists in is between and or as on join using distinct select from where inner group order isnull notnull
  like glob regexp match collate escape when then else end with having union limit`.split(/\s+/),
);

/** A name as queries have to write it: in double quotes unless it is a plain word in lower case (S-143, S-144). */
export function quoteName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !RESERVED.has(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** Longer values are cut. */
const MOST_CHARACTERS = 200;
const MOST_BYTES = 20;

/** A value as an SQL literal; long ones are cut. */
export function printValue(value: SqliteValue): string {
  if (value === null) return 'NULL';
  if (typeof value === 'string') return quoteText(cut(value));
  if (typeof value !== 'object')
    return Number.isFinite(value) || typeof value === 'bigint' ? renderValue(value) : String(value);
  const hex = Buffer.from(value.subarray(0, MOST_BYTES)).toString('hex');
  return value.length > MOST_BYTES ? `x'${hex}…' (${value.length} bytes)` : `x'${hex}'`;
}

/** At most about `most` UTF-16 units, never half a character. */
export function cut(text: string, most = MOST_CHARACTERS): string {
  if (text.length <= most) return text;
  const last = text.charCodeAt(most - 1);
  return `${text.slice(0, last >= 0xd800 && last < 0xdc00 ? most - 1 : most)}…`;
}
