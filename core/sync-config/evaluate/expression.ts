/** Plan expressions as closures (S-125). An evaluation never throws and has no side effects. */
import type { CastType, ElementColumn, ParameterScope, PlanExpr, PlanOperator } from '../plan.ts';
import type { SqliteValue } from '../values.ts';
import { compareKnown, equalKnown, isTrue } from './comparison.ts';
import { functionDefinition } from './functions.ts';
import { arrayValues, extractJson, extractValue } from './json/functions.ts';
import { indexAccessor, parseAccessor, parsePath, type JsonPath } from './json/path.ts';
import {
  encodeUtf8,
  integerOrReal,
  MAX_INTEGER,
  MIN_INTEGER,
  realOrNull,
  textToNumeric,
  valueToInteger,
  valueToOperand,
  valueToReal,
  valueToText,
} from './numbers.ts';

export type Evaluate<Env> = (env: Env) => SqliteValue;

/** Where values come from: of a row, or of a session. */
export interface Leaves<Env> {
  column(name: string): Evaluate<Env>;
  table(what: 'schema' | 'name' | 'suffix'): Evaluate<Env>;
  element(expansion: number, column: ElementColumn): Evaluate<Env>;
  parameter(scope: ParameterScope, key: string | null): Evaluate<Env>;
}

type Known = Exclude<SqliteValue, null>;
const truth = (value: boolean): SqliteValue => (value ? 1n : 0n);

/** Builds the closure of an expression. Throws only for a plan that this version does not know. */
export function compileExpression<Env>(expr: PlanExpr, leaves: Leaves<Env>, fixedJsonExtract: boolean): Evaluate<Env> {
  const build = (node: PlanExpr): Evaluate<Env> => {
    const evaluate = buildNode(node);
    if (node.kind === 'column' || !isConstant(node)) return evaluate;
    const value = evaluate(undefined as Env);
    return () => value;
  };
  const buildNode = (node: PlanExpr): Evaluate<Env> => {
    switch (node.kind) {
      case 'null':
        return () => null;
      case 'integer': {
        const value = integerOrReal(BigInt(node.value));
        return () => value;
      }
      case 'real': {
        const value = Number(node.value);
        return () => value;
      }
      case 'text': {
        const { value } = node;
        return () => value;
      }
      case 'column':
        return leaves.column(node.name);
      case 'table':
        return leaves.table(node.what);
      case 'element':
        return leaves.element(node.expansion, node.column);
      case 'parameter':
        return leaves.parameter(node.scope, node.key);
      case 'unary':
        return unary(node.op, build(node.operand));
      case 'binary':
        if (node.op === '->' || node.op === '->>')
          return extraction(node.op, build(node.left), node.right, build, fixedJsonExtract);
        return binary(node.op, build(node.left), build(node.right));
      case 'isNull': {
        const operand = build(node.operand);
        return node.negated ? (env) => truth(operand(env) !== null) : (env) => truth(operand(env) === null);
      }
      case 'between':
        return between(build(node.operand), build(node.low), build(node.high), node.negated);
      case 'inList':
        return inList(build(node.operand), node.items.map(build), node.negated);
      case 'inArray':
        return inArray(build(node.operand), build(node.array), node.negated);
      case 'case':
        return caseOf(node, build);
      case 'cast':
        return cast(node.to, build(node.operand));
      case 'call':
        return call(node.name, node.args, build);
    }
  };
  return build(expr);
}

function isConstant(expr: PlanExpr): boolean {
  switch (expr.kind) {
    case 'null':
    case 'integer':
    case 'real':
    case 'text':
      return true;
    case 'unary':
    case 'cast':
      return isConstant(expr.operand);
    case 'binary':
      return isConstant(expr.left) && isConstant(expr.right);
    case 'call':
      return expr.args.every(isConstant);
    default:
      return false;
  }
}

function unary<Env>(op: 'not' | '-' | '+' | '~', operand: Evaluate<Env>): Evaluate<Env> {
  switch (op) {
    case '+':
      return operand;
    case 'not':
      return (env) => {
        const value = operand(env);
        return value === null ? null : truth(!isTrue(value));
      };
    case '-':
      return (env) => {
        const value = operand(env);
        return value === null ? null : arithmetic('-', 0n, value);
      };
    case '~':
      return (env) => {
        const value = operand(env);
        return value === null ? null : ~valueToInteger(value);
      };
  }
}

function binary<Env>(op: PlanOperator, left: Evaluate<Env>, right: Evaluate<Env>): Evaluate<Env> {
  switch (op) {
    case 'and':
      return (env) => {
        const a = left(env);
        if (a !== null && !isTrue(a)) return 0n;
        const b = right(env);
        if (b !== null && !isTrue(b)) return 0n;
        return a === null || b === null ? null : 1n;
      };
    case 'or':
      return (env) => {
        const a = left(env);
        if (isTrue(a)) return 1n;
        const b = right(env);
        if (isTrue(b)) return 1n;
        return a === null || b === null ? null : 0n;
      };
    case '=':
      return (env) => {
        const a = left(env);
        const b = a === null ? null : right(env);
        return a === null || b === null ? null : truth(equalKnown(a, b));
      };
    case '!=':
      return (env) => {
        const a = left(env);
        const b = a === null ? null : right(env);
        return a === null || b === null ? null : truth(!equalKnown(a, b));
      };
    default: {
      const apply = knownOperator(op);
      return (env) => {
        const a = left(env);
        const b = a === null ? null : right(env);
        return a === null || b === null ? null : apply(a, b);
      };
    }
  }
}

function knownOperator(op: PlanOperator): (a: Known, b: Known) => SqliteValue {
  switch (op) {
    case '<':
      return (a, b) => truth(compareKnown(a, b) < 0);
    case '>':
      return (a, b) => truth(compareKnown(a, b) > 0);
    case '<=':
      return (a, b) => truth(compareKnown(a, b) <= 0);
    case '>=':
      return (a, b) => truth(compareKnown(a, b) >= 0);
    case '||':
      return (a, b) => valueToText(a) + valueToText(b);
    case '&':
      return (a, b) => valueToInteger(a) & valueToInteger(b);
    case '|':
      return (a, b) => valueToInteger(a) | valueToInteger(b);
    case '<<':
      return (a, b) => shift(valueToInteger(a), valueToInteger(b));
    case '>>':
      return (a, b) => shift(valueToInteger(a), -valueToInteger(b));
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      return (a, b) => arithmetic(op, a, b);
    default:
      throw new Error(`operator ${op} is not known to this version`);
  }
}

function shift(value: bigint, by: bigint): bigint {
  if (by >= 64n) return 0n;
  if (by <= -64n) return value < 0n ? -1n : 0n;
  return by >= 0n ? BigInt.asIntN(64, value << by) : value >> -by;
}

/** Integers as long as the result fits into 64 bits, else reals. */
function arithmetic(op: '+' | '-' | '*' | '/' | '%', left: Known, right: Known): SqliteValue {
  const a = valueToOperand(left);
  const b = valueToOperand(right);
  if (typeof a === 'bigint' && typeof b === 'bigint') {
    if ((op === '/' || op === '%') && b === 0n) return null;
    const exact = op === '+' ? a + b : op === '-' ? a - b : op === '*' ? a * b : op === '/' ? a / b : a % b;
    if (exact <= MAX_INTEGER && exact >= MIN_INTEGER) return exact;
  } else if (op === '%') {
    const divisor = valueToInteger(right);
    return divisor === 0n ? null : Number(valueToInteger(left) % divisor);
  }
  const x = valueToReal(left);
  const y = valueToReal(right);
  if (op === '/') return y === 0 ? null : realOrNull(x / y);
  return realOrNull(op === '+' ? x + y : op === '-' ? x - y : x * y);
}

/** Null if any operand is null (S-174). */
function between<Env>(
  operand: Evaluate<Env>,
  low: Evaluate<Env>,
  high: Evaluate<Env>,
  negated: boolean,
): Evaluate<Env> {
  return (env) => {
    const value = operand(env);
    const from = value === null ? null : low(env);
    const to = from === null ? null : high(env);
    if (value === null || from === null || to === null) return null;
    return truth((compareKnown(value, from) >= 0 && compareKnown(value, to) <= 0) !== negated);
  };
}

function inList<Env>(operand: Evaluate<Env>, items: readonly Evaluate<Env>[], negated: boolean): Evaluate<Env> {
  return (env) => {
    if (items.length === 0) return truth(negated);
    const value = operand(env);
    if (value === null) return null;
    let unknown = false;
    for (const item of items) {
      const candidate = item(env);
      if (candidate === null) unknown = true;
      else if (equalKnown(value, candidate)) return truth(!negated);
    }
    return unknown ? null : truth(negated);
  };
}

/** What is no array has no members and no non-members: neither IN nor NOT IN lets a row through. */
function inArray<Env>(operand: Evaluate<Env>, array: Evaluate<Env>, negated: boolean): Evaluate<Env> {
  return (env) => {
    const candidates = arrayValues(array(env));
    if (candidates === null) return null;
    if (candidates.length === 0) return truth(negated);
    const value = operand(env);
    if (value === null) return null;
    let unknown = false;
    for (const candidate of candidates) {
      if (candidate === null) unknown = true;
      else if (equalKnown(value, candidate)) return truth(!negated);
    }
    return unknown ? null : truth(negated);
  };
}

function caseOf<Env>(
  node: Extract<PlanExpr, { kind: 'case' }>,
  build: (expr: PlanExpr) => Evaluate<Env>,
): Evaluate<Env> {
  const subject = node.subject === null ? null : build(node.subject);
  const whens = node.whens.map(({ when, then }) => ({ when: build(when), then: build(then) }));
  const otherwise = node.otherwise === null ? () => null : build(node.otherwise);
  if (subject === null) {
    return (env) => {
      for (const { when, then } of whens) if (isTrue(when(env))) return then(env);
      return otherwise(env);
    };
  }
  return (env) => {
    const value = subject(env);
    if (value === null) return otherwise(env);
    for (const { when, then } of whens) {
      const candidate = when(env);
      if (candidate !== null && equalKnown(value, candidate)) return then(env);
    }
    return otherwise(env);
  };
}

function cast<Env>(to: CastType, operand: Evaluate<Env>): Evaluate<Env> {
  const convert = converter(to);
  return (env) => {
    const value = operand(env);
    return value === null ? null : convert(value);
  };
}
function converter(to: CastType): (value: Known) => SqliteValue {
  switch (to) {
    case 'text':
      return valueToText;
    case 'integer':
      return valueToInteger;
    case 'real':
      return valueToReal;
    case 'numeric':
      return (value) =>
        typeof value === 'bigint' || typeof value === 'number' ? value : textToNumeric(valueToText(value));
    case 'blob':
      return (value) => (typeof value === 'object' ? value : encodeUtf8(valueToText(value)));
  }
}

/** `->` and `->>`; the path is read once when it is a literal. */
function extraction<Env>(
  op: '->' | '->>',
  json: Evaluate<Env>,
  key: PlanExpr,
  build: (expr: PlanExpr) => Evaluate<Env>,
  fixed: boolean,
): Evaluate<Env> {
  const extract = op === '->' ? extractJson : extractValue;
  const accessor = (value: SqliteValue): JsonPath | null => {
    if (value === null) return null;
    return typeof value === 'bigint' ? indexAccessor(value) : parseAccessor(valueToText(value), fixed);
  };
  const evaluateKey = build(key);
  if (isConstant(key)) {
    const path = accessor(evaluateKey(undefined as Env));
    return (env) => extract(json(env), path);
  }
  return (env) => extract(json(env), accessor(evaluateKey(env)));
}

function call<Env>(name: string, args: readonly PlanExpr[], build: (expr: PlanExpr) => Evaluate<Env>): Evaluate<Env> {
  const [a, b, c] = args.map(build);
  if (a === undefined) throw new Error(`function ${name} without arguments is not known to this version`);
  if (name === 'json_extract' && b !== undefined) {
    const literal = args[1]?.kind === 'text' ? parsePath(args[1].value) : undefined;
    if (literal !== undefined) return (env) => extractValue(a(env), literal);
    return (env) => {
      const path = b(env);
      return path === null ? null : extractValue(a(env), parsePath(valueToText(path)));
    };
  }
  const definition = functionDefinition(name);
  if (definition === null) throw new Error(`function ${name} is not known to this version`);
  const { apply } = definition;
  if (b === undefined) return (env) => apply(a(env));
  if (c === undefined) return (env) => apply(a(env), b(env));
  return (env) => apply(a(env), b(env), c(env));
}
