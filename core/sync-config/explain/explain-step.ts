/** Why a step of a session's querier leaves nothing of what came to it. */
import { elementsOf } from '../evaluate/json/functions.ts';
import { keyText } from '../evaluate/keys.ts';
import type { Tuples } from '../evaluate/lookup-reader.ts';
import type { Tuple } from '../evaluate/querier.ts';
import { compileSessionExpression, type SessionEnv } from '../evaluate/session-parameters.ts';
import type { PlanExpr, PlanStep, SyncPlan } from '../plan.ts';
import type { AccessReason, AskedLookup, Evaluated } from './contract.ts';
import { evaluated, printConjunct, type ValueOf } from './evaluated.ts';
import { literalOf } from './key-values.ts';
import { neededRow, oneOf } from './needed-row.ts';
import type { PrintOptions } from './print-expression.ts';

/** Keys and tuples that are shown. */
export const MOST_SHOWN = 10;

/** A session's own expressions. */
export interface SessionValues {
  readonly plan: SyncPlan;
  /** Of the element that stands in `env`, if there is one. */
  readonly env: SessionEnv;
  readonly valueOf: ValueOf;
  show(expr: PlanExpr): Evaluated;
  readonly print: PrintOptions;
}

/** Over a session that asks for a stream; no element stands in it. */
export function sessionValues(plan: SyncPlan, given: SessionEnv, legacy: boolean): SessionValues {
  const env = { ...given, element: null };
  const print: PrintOptions = { table: '', expansions: [], legacy };
  const valueOf: ValueOf = (expr) => compileSessionExpression(expr, plan.fixedJsonExtract)(env);
  return { plan, env, valueOf, print, show: (expr) => evaluated(expr, valueOf, print) };
}

/** A step as it was taken. */
export interface StepTaken {
  readonly step: PlanStep;
  readonly before: readonly Tuple[];
  readonly after: readonly Tuple[];
  /** What came back from a lookup. */
  readonly answers: readonly Tuples[];
}

/** What a variable must be, where no earlier step says it; with the row's expression that has this value. */
export interface Wanted {
  readonly variable: number;
  /** Canonical text. */
  readonly value: string;
  readonly row: Evaluated;
}

/** Why the step leaves nothing of `before`, some or all of the tuples that came to it; or nothing with the `wanted` value. */
export function stepReason(
  session: SessionValues,
  taken: StepTaken,
  before: readonly Tuple[],
  wanted: Wanted | null,
): AccessReason {
  const { step } = taken;
  if (step.kind === 'expand') return elementReason(session, step, before, wanted);
  const bound = boundOf(step.outputs, before);
  const asked = before.map((tuple) => [
    ...step.inputs.map((input) =>
      input.kind === 'variable' ? tuple[input.variable] : keyText(session.valueOf(input.value)),
    ),
    ...bound.map((variable) => tuple[variable]),
  ]);
  const tuples = asked.filter((values) => values.every((value) => typeof value === 'string'));
  if (tuples.length === 0) {
    const unusable = step.inputs.find(
      (input) => input.kind === 'value' && keyText(session.valueOf(input.value)) === null,
    );
    if (unusable?.kind === 'value') return { kind: 'null-value', ...session.show(unusable.value) };
  }
  const needed = neededRow(session.plan, step, { bound: new Set(bound), tuples, wanted });
  return { kind: 'no-lookup-row', ...needed, ...shownAnswers(taken.answers) };
}

/** Those variables that every tuple has already: a step that gives them again filters by them. */
const boundOf = (variables: readonly number[], tuples: readonly Tuple[]): number[] =>
  [...new Set(variables)].filter((variable) => tuples[0]?.[variable] !== undefined);

function elementReason(
  session: SessionValues,
  step: PlanStep & { kind: 'expand' },
  before: readonly Tuple[],
  wanted: Wanted | null,
): AccessReason {
  const list = session.show(step.value);
  const print = (expr: PlanExpr): string => printConjunct(expr, { ...session.print, expansions: [step.value] });
  const variables = step.outputs.map(({ variable }) => variable);
  const bound = boundOf(variables, before);
  const isPlain =
    step.filters.length === 0 && step.outputs.every(({ value }) => isElement(value)) && bound.length === 0;
  if (wanted !== null && isPlain) return { kind: 'not-in-list', list, row: wanted.row };
  const elements = elementsOf(session.valueOf(step.value), step.mode);
  const isNullSomewhere = (expr: PlanExpr): boolean => {
    const evaluate = compileSessionExpression(expr, session.plan.fixedJsonExtract);
    return elements.some((element) => keyText(evaluate({ ...session.env, element })) === null);
  };
  const boundOutputs = step.outputs.filter(({ variable }) => bound.includes(variable));
  const boundTuples = before.map((tuple) => boundOutputs.map(({ variable }) => tuple[variable] ?? 'null'));
  const conditions = [
    ...step.filters.map(print),
    ...oneOf(
      boundOutputs.map(({ value }) => print(value)),
      boundTuples,
    ),
    ...step.outputs.flatMap(({ variable, value }) => {
      if (variable === wanted?.variable) return [`${print(value)} = ${literalOf(wanted.value)}`];
      return !bound.includes(variable) && isNullSomewhere(value) ? [`${print(value)} IS NOT NULL`] : [];
    }),
  ];
  return { kind: 'no-elements', list, conditions };
}

const isElement = (expr: PlanExpr): boolean => expr.kind === 'element' && expr.column === 'value';

/** The first tuples, as JSON, and how many there are. */
export function shownAnswers(answers: readonly Tuples[]): Pick<AskedLookup, 'answers' | 'answerCount'> {
  const shown: string[] = [];
  let answerCount = 0;
  for (const tuples of answers) {
    answerCount += tuples.length;
    for (const tuple of tuples.slice(0, MOST_SHOWN - shown.length)) shown.push(`[${tuple.join(',')}]`);
  }
  return { answers: shown, answerCount };
}
