/** Which types the value of an expression can have (S-213): from the types of the columns it reads. */
import type { CastType, PlanExpr } from './plan.ts';

/** As sources map their columns (S chapter 8). */
export type ValueType = 'integer' | 'real' | 'text' | 'blob';
/** Every type that a value other than null can have; empty: it is always null. */
export type ValueTypes = ReadonlySet<ValueType>;

const of = (...types: ValueType[]): ValueTypes => new Set(types);
const ANY = of('integer', 'real', 'text', 'blob');
const NUMBER = of('integer', 'real');
const CASTS: Readonly<Record<CastType, ValueTypes>> = {
  text: of('text'),
  integer: of('integer'),
  real: of('real'),
  numeric: NUMBER,
  blob: of('blob'),
};

/** Functions whose result does not follow from their arguments' types. */
const RESULTS: Readonly<Record<string, ValueTypes>> = {
  upper: of('text'),
  lower: of('text'),
  hex: of('text'),
  base64: of('text'),
  typeof: of('text'),
  length: of('integer'),
  instr: of('integer'),
  json_array_length: of('integer'),
  json_valid: of('integer'),
  json_keys: of('text'),
  json_extract: of('integer', 'real', 'text'),
  datetime: of('text'),
  st_x: of('real'),
  st_y: of('real'),
  st_astext: of('text'),
  st_asgeojson: of('text'),
  uuid_blob: of('blob'),
};

/** `typeOf`: of a column; null when nothing is known of it. Integers that leave 64 bits and become reals are not considered. */
export function resultTypes(expr: PlanExpr, typeOf: (column: string) => ValueType | null): ValueTypes {
  const types = (node: PlanExpr): ValueTypes => resultTypes(node, typeOf);
  switch (expr.kind) {
    case 'null':
      return of();
    case 'integer':
    case 'real':
    case 'text':
      return of(expr.kind);
    case 'column': {
      const type = typeOf(expr.name);
      return type === null ? ANY : of(type);
    }
    case 'table':
      return of('text');
    case 'element':
    case 'parameter':
      return of('integer', 'real', 'text');
    case 'unary':
      if (expr.op === '+') return types(expr.operand);
      return expr.op === '-' ? numeric(types(expr.operand)) : of('integer');
    case 'binary':
      return binaryTypes(expr, types);
    case 'isNull':
    case 'between':
    case 'inList':
    case 'inArray':
      return of('integer');
    case 'case': {
      const results = expr.whens.map(({ then }) => then);
      return union([...results, ...(expr.otherwise === null ? [] : [expr.otherwise])].map(types));
    }
    case 'cast':
      return CASTS[expr.to];
    case 'call':
      return callTypes(expr, types);
  }
}

const union = (items: readonly ValueTypes[]): ValueTypes => new Set(items.flatMap((item) => [...item]));
/** Text and blobs in arithmetic are read as the number they begin with. */
function numeric(types: ValueTypes): ValueTypes {
  if (types.has('text') || types.has('blob')) return NUMBER;
  return types;
}

function binaryTypes(expr: PlanExpr & { kind: 'binary' }, types: (node: PlanExpr) => ValueTypes): ValueTypes {
  switch (expr.op) {
    case '+':
    case '-':
    case '*':
    case '/':
    case '%': {
      const [left, right] = [numeric(types(expr.left)), numeric(types(expr.right))];
      if (left.size === 0 || right.size === 0) return of();
      const both = (type: ValueType): boolean => left.has(type) && right.has(type);
      const result = new Set<ValueType>(both('integer') ? ['integer'] : []);
      if (left.has('real') || right.has('real')) result.add('real');
      return result;
    }
    case '||':
    case '->':
      return of('text');
    case '->>':
      return of('integer', 'real', 'text');
    default:
      return of('integer');
  }
}

function callTypes(expr: PlanExpr & { kind: 'call' }, types: (node: PlanExpr) => ValueTypes): ValueTypes {
  const args = expr.args.map(types);
  const [first = of()] = args;
  switch (expr.name) {
    case 'ifnull':
      return union(args);
    case 'iif':
      return union(args.slice(1));
    case 'substr':
    case 'substring': {
      const result = first.has('blob') ? ['blob' as const] : [];
      return of(...result, ...(first.size > result.length ? (['text'] as const) : []));
    }
    case 'unixepoch': {
      const precise = expr.args.slice(1).some((arg) => arg.kind === 'text' && /^subsec(ond)?$/i.test(arg.value));
      return of(precise ? 'real' : 'integer');
    }
    default:
      return RESULTS[expr.name] ?? ANY;
  }
}
