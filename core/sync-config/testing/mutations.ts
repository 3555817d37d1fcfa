/**
 * For tests: every way to change a query in one place so that other rows would be allowed: a condition lost, turned round, or about
 * something else (G4). What is changed stands in parentheses, so that the rest of the query keeps its meaning.
 */
import type { BinaryOperator, Expr, FromItem, Name, Select, SelectItem } from '../sql/ast.ts';

/** `what` says which kind of change it is. */
export interface Mutant<T> {
  readonly what: string;
  readonly tree: T;
}
/** Names that a column can be qualified with. */
type Tables = readonly Name[];

const NOWHERE = { start: 0, end: 0 };
const named = (text: string): Name => ({ ...NOWHERE, text, written: text, quoted: false });
const grouped = (inner: Expr): Expr => (inner.kind === 'group' ? inner : { ...NOWHERE, kind: 'group', inner });
const text = (value: string): Expr => ({ ...NOWHERE, kind: 'string', value });

/** Every mutant of one part, put into the whole. */
function inside<Part, Whole>(mutants: readonly Mutant<Part>[], put: (part: Part) => Whole): Mutant<Whole>[] {
  return mutants.map(({ what, tree }) => ({ what, tree: put(tree) }));
}
function insideEach<Part, Whole>(
  parts: readonly Part[],
  mutantsOf: (part: Part) => readonly Mutant<Part>[],
  put: (parts: Part[]) => Whole,
): Mutant<Whole>[] {
  return parts.flatMap((part, at) => inside(mutantsOf(part), (other) => put(parts.with(at, other))));
}

/** Mutants of a query. `values`: what it selects decides who gets what too (subqueries, CTEs, parameter queries). */
export function mutantsOf(select: Select, values: boolean, around: Tables = []): Mutant<Select>[] {
  const { where, from, items } = select;
  const own = from.flatMap((item) => item.alias ?? (item.kind === 'select' ? [] : item.name));
  const tables = [...own, ...around];
  const mutants: Mutant<Select>[] = [];
  if (where !== null) {
    mutants.push({ what: 'drop WHERE', tree: { ...select, where: null } });
    mutants.push(...inside(conditionMutants(where, tables), (other) => ({ ...select, where: other })));
  }
  mutants.push(
    ...insideEach(
      from,
      (item) => sourceMutants(item, tables),
      (other) => ({ ...select, from: other }),
    ),
  );
  for (const at of from.length > 1 ? from.keys() : []) {
    mutants.push({ what: 'drop a table', tree: { ...select, from: from.toSpliced(at, 1) } });
  }
  if (!values) return mutants;
  const ofItems = insideEach(
    items,
    (item) => itemMutants(item, tables),
    (others) => ({ ...select, items: others }),
  );
  return [...mutants, ...ofItems];
}

/** The item keeps its name. */
function itemMutants(item: SelectItem, tables: Tables): Mutant<SelectItem>[] {
  if (item.kind === 'star') return [];
  const alias = item.alias ?? (item.expr.kind === 'column' ? item.expr.name : null);
  return inside(valueMutants(item.expr, tables), (expr) => ({ ...item, expr, alias }));
}

function sourceMutants(item: FromItem, tables: Tables): Mutant<FromItem>[] {
  const mutants: Mutant<FromItem>[] = [];
  if (item.on !== null) {
    mutants.push({ what: 'drop ON', tree: { ...item, on: null } });
    mutants.push(...inside(conditionMutants(item.on, tables), (on) => ({ ...item, on })));
  }
  if (item.kind === 'function') {
    const ofArguments = insideEach(
      item.args,
      (arg) => valueMutants(arg, tables),
      (args) => ({ ...item, args }),
    );
    mutants.push(...ofArguments);
  }
  if (item.kind === 'select') mutants.push(...inside(mutantsOf(item.select, true), (select) => ({ ...item, select })));
  return mutants;
}

/** Of an expression whose truth counts. */
function conditionMutants(expr: Expr, tables: Tables): Mutant<Expr>[] {
  if (expr.kind === 'group') return inside(conditionMutants(expr.inner, tables), grouped);
  if (expr.kind === 'unary' && expr.op === 'not') {
    return [
      { what: 'drop NOT', tree: grouped(expr.operand) },
      ...inside(conditionMutants(expr.operand, tables), (operand) => ({ ...expr, operand: grouped(operand) })),
    ];
  }
  if (expr.kind === 'binary' && (expr.op === 'and' || expr.op === 'or')) {
    const { left, right, op } = expr;
    return [
      { what: `drop a side of ${op}`, tree: grouped(left) },
      { what: `drop a side of ${op}`, tree: grouped(right) },
      { what: `${op} for the other`, tree: grouped({ ...expr, op: op === 'and' ? 'or' : 'and' }) },
      { what: 'negate', tree: negated(expr) },
      ...inside(conditionMutants(left, tables), (other) => ({ ...expr, left: grouped(other) })),
      ...inside(conditionMutants(right, tables), (other) => ({ ...expr, right: grouped(other) })),
    ];
  }
  return [{ what: 'negate', tree: negated(expr) }, ...inside(valueMutants(expr, tables), grouped)];
}

function negated(expr: Expr): Expr {
  if (expr.kind === 'in' || expr.kind === 'between' || expr.kind === 'isNull')
    return { ...expr, negated: !expr.negated };
  return grouped({ ...NOWHERE, kind: 'unary', op: 'not', operand: grouped(expr) });
}

const otherLiteral = (tree: Expr): Mutant<Expr>[] => [{ what: 'another literal', tree }];

/** Of an expression whose value counts. */
function valueMutants(expr: Expr, tables: Tables): Mutant<Expr>[] {
  const of = (part: Expr): Mutant<Expr>[] => valueMutants(part, tables);
  switch (expr.kind) {
    case 'null':
      return otherLiteral({ ...NOWHERE, kind: 'integer', text: '1' });
    case 'integer':
    case 'real':
      return otherLiteral({ ...NOWHERE, kind: 'integer', text: String(Math.trunc(Number(expr.text)) + 1) });
    case 'boolean':
      return otherLiteral({ ...expr, value: !expr.value });
    case 'string':
      return otherLiteral(text(otherText(expr.value)));
    case 'column':
      return columnMutants(expr, tables);
    case 'call':
      return callMutants(expr, tables);
    case 'unary':
      if (expr.op === 'not') return conditionMutants(expr, tables);
      return inside(of(expr.operand), (operand) => ({ ...expr, operand: grouped(operand) }));
    case 'binary':
      return binaryMutants(expr, tables);
    case 'isNull':
    case 'cast':
      return inside(of(expr.operand), (operand) => ({ ...expr, operand: grouped(operand) }));
    case 'between':
      return [
        ...inside(of(expr.operand), (operand) => ({ ...expr, operand: grouped(operand) })),
        ...inside(of(expr.low), (low) => ({ ...expr, low: grouped(low) })),
        ...inside(of(expr.high), (high) => ({ ...expr, high: grouped(high) })),
      ];
    case 'in':
      return [
        ...inside(of(expr.operand), (operand) => ({ ...expr, operand: grouped(operand) })),
        ...inside(of(expr.set), (set) => ({ ...expr, set })),
      ];
    case 'overlaps':
      return [
        ...inside(of(expr.left), (left) => ({ ...expr, left: grouped(left) })),
        ...inside(of(expr.right), (right) => ({ ...expr, right })),
      ];
    case 'case':
      return caseMutants(expr, tables);
    case 'list': {
      const fewer = expr.items.map((_, at) => ({ ...expr, items: expr.items.toSpliced(at, 1) }));
      return [
        ...fewer.map((tree) => ({ what: 'drop an item', tree })),
        ...insideEach(expr.items, of, (items) => ({ ...expr, items })),
      ];
    }
    case 'group':
      return inside(of(expr.inner), (inner) => ({ ...expr, inner }));
    case 'subquery':
      return inside(mutantsOf(expr.select, true, tables), (select) => ({ ...expr, select }));
  }
}

/** A set written as JSON stays one. */
function otherText(value: string): string {
  if (!/^\s*\[/.test(value)) return `${value}~`;
  try {
    return JSON.stringify([...(JSON.parse(value) as unknown[]), 'one more']);
  } catch {
    return `${value}~`;
  }
}

/** Another column of the table, and the column of each other table. */
function columnMutants(expr: Expr & { kind: 'column' }, tables: Tables): Mutant<Expr>[] {
  const { table, name } = expr;
  const others = table === null ? [] : tables.filter((other) => other.text !== table.text);
  return [
    { what: 'another column', tree: { ...expr, name: named(name.quoted ? 'other_column' : `${name.text}_2`) } },
    ...others.map((other) => ({ what: 'column of another table', tree: { ...expr, table: other } })),
  ];
}

/** What a comparison is mistaken for: its opposite, and its neighbour. */
const COMPARISONS: Readonly<Partial<Record<BinaryOperator, readonly BinaryOperator[]>>> = {
  '=': ['!=', '>='],
  '!=': ['=', '<'],
  '<': ['>=', '<='],
  '>': ['<=', '>='],
  '<=': ['>', '<'],
  '>=': ['<', '>'],
};

function binaryMutants(expr: Expr & { kind: 'binary' }, tables: Tables): Mutant<Expr>[] {
  if (expr.op === 'and' || expr.op === 'or') return conditionMutants(expr, tables);
  const others = COMPARISONS[expr.op] ?? [];
  const rightOf = (right: Expr): Expr => (expr.op === '->' || expr.op === '->>' ? right : grouped(right));
  return [
    ...others.map((op) => ({ what: 'another comparison', tree: { ...expr, op } })),
    ...inside(valueMutants(expr.left, tables), (left) => ({ ...expr, left: grouped(left) })),
    ...inside(valueMutants(expr.right, tables), (right) => ({ ...expr, right: rightOf(right) })),
  ];
}

function caseMutants(expr: Expr & { kind: 'case' }, tables: Tables): Mutant<Expr>[] {
  const { subject, whens, otherwise } = expr;
  const of = (part: Expr): Mutant<Expr>[] => valueMutants(part, tables);
  const ofWhen = (part: Expr): Mutant<Expr>[] => (subject === null ? conditionMutants(part, tables) : of(part));
  const fewer = whens.length < 2 ? [] : whens.map((_, at) => ({ ...expr, whens: whens.toSpliced(at, 1) }));
  return [
    ...(subject === null ? [] : inside(of(subject), (other) => ({ ...expr, subject: other }))),
    ...fewer.map((tree) => ({ what: 'drop a WHEN', tree })),
    ...insideEach(
      whens,
      ({ when, then }) => [
        ...inside(ofWhen(when), (other) => ({ when: other, then })),
        ...inside(of(then), (other) => ({ when, then: other })),
      ],
      (others) => ({ ...expr, whens: others }),
    ),
    ...(otherwise === null ? [] : inside(of(otherwise), (other) => ({ ...expr, otherwise: other }))),
  ];
}

const SCOPES = ['auth', 'connection', 'subscription'];

/** Of parameters: their scope and key; of other functions: their arguments. */
function callMutants(expr: Expr & { kind: 'call' }, tables: Tables): Mutant<Expr>[] {
  const scope = expr.schema?.text ?? '';
  const called = (schema: string, name: string, values: readonly Expr[]): Expr => ({
    ...expr,
    schema: named(schema),
    name: named(name),
    args: values,
  });
  if (scope === 'request') {
    const others = ['user_id', 'jwt', 'parameters'].filter((name) => name !== expr.name.text);
    return others.map((name) => ({ what: 'another scope', tree: called(scope, name, []) }));
  }
  if (scope === 'auth' && expr.name.text === 'user_id') {
    const others = ['connection', 'subscription'].map((other) => called(other, 'parameter', [text('sub')]));
    return [
      { what: 'another key', tree: called('auth', 'parameter', [text('other')]) },
      ...others.map((tree) => ({ what: 'another scope', tree })),
    ];
  }
  const others = SCOPES.includes(scope) ? SCOPES.filter((other) => other !== scope) : [];
  return [
    ...insideEach(
      expr.args,
      (arg) => valueMutants(arg, tables),
      (args): Expr => ({ ...expr, args }),
    ),
    ...others.map((other) => ({ what: 'another scope', tree: called(other, expr.name.text, expr.args) })),
  ];
}
