/** The parameter side of one querier: from a session to bucket keys. */
import type { PlanComponent, PlanOperand, PlanQuerier, PlanStep, SyncPlan } from '../plan.ts';
import { isTrue } from './comparison.ts';
import { elementsOf } from './json/functions.ts';
import { keyText } from './keys.ts';
import type { LookupReader } from './lookup-reader.ts';
import { compileSessionExpression, type SessionEnv } from './session-parameters.ts';

/** Values of the variables of a component, as canonical texts; unbound ones are undefined. */
export type Tuple = (string | undefined)[];
type TextOf = (env: SessionEnv) => string | null;

/** Called with the number of tuples held; throws when that is too many. */
export type CheckSize = (tuples: number) => void;

export interface CompiledQuerier {
  readonly plan: PlanQuerier;
  /** Needs no lookups to be resolved. */
  readonly hasLookups: boolean;
  /** Distinct bucket keys of this session. `mayBuild` is told their number, and whether to build them; else there are none. */
  resolve(
    env: SessionEnv,
    reader: LookupReader,
    checkTuples: CheckSize,
    mayBuild: (buckets: number) => boolean,
  ): Promise<string[]>;
}

interface CompiledComponent {
  /** Tuples on the variables that the key needs; a component without such variables gives one or none. */
  resolve(env: SessionEnv, reader: LookupReader, check: CheckSize): Promise<Tuple[]>;
}

export function compileQuerier(querier: PlanQuerier, plan: SyncPlan): CompiledQuerier {
  const gates = querier.gates.map((gate) => compileSessionExpression(gate, plan.fixedJsonExtract));
  const components = querier.components.map((component) => compileComponent(component, plan));
  const key = querier.key.map((part) => (part.kind === 'value' ? { text: textOf(part.value, plan) } : part));
  return {
    plan: querier,
    hasLookups: querier.components.some(({ steps }) => steps.some((step) => step.kind === 'lookup')),
    resolve: async (env, reader, checkTuples, mayBuild) => {
      for (const gate of gates) if (!isTrue(gate(env))) return [];
      const fixed: (string | null)[] = key.map((part) => ('text' in part ? part.text(env) : null));
      if (key.some((part, at) => 'text' in part && fixed[at] === null)) return [];
      const results: Tuple[][] = [];
      for (const component of components) {
        const tuples = await component.resolve(env, reader, checkTuples);
        if (tuples.length === 0) return [];
        results.push(tuples);
      }
      if (!mayBuild(results.reduce((product, tuples) => product * tuples.length, 1))) return [];
      const keys: string[] = [];
      forEachCombination(results, (combination) => {
        const values = key.map((part, at) =>
          'text' in part ? fixed[at] : combination[part.component]?.[part.variable],
        );
        keys.push(`[${values.join(',')}]`);
      });
      return keys;
    },
  };
}

function forEachCombination(results: readonly Tuple[][], visit: (combination: readonly Tuple[]) => void): void {
  const combination: Tuple[] = [];
  const choose = (at: number): void => {
    const tuples = results[at];
    if (tuples === undefined) return visit(combination);
    for (const tuple of tuples) {
      combination[at] = tuple;
      choose(at + 1);
    }
  };
  choose(0);
}

function textOf(value: Parameters<typeof compileSessionExpression>[0], plan: SyncPlan): TextOf {
  const evaluate = compileSessionExpression(value, plan.fixedJsonExtract);
  return (env) => keyText(evaluate(env));
}

function compileComponent(component: PlanComponent, plan: SyncPlan): CompiledComponent {
  const steps = component.steps.map((step) => compileStep(step, plan));
  return {
    resolve: async (env, reader, check) => {
      let tuples: Tuple[] = [[]];
      for (const step of steps) {
        tuples = await step(tuples, env, reader, check);
        if (tuples.length === 0) break;
      }
      return tuples;
    },
  };
}

/** Extends each tuple; distinct on what is kept. */
export type Step = (tuples: Tuple[], env: SessionEnv, reader: LookupReader, check: CheckSize) => Promise<Tuple[]>;

export function compileStep(step: PlanStep, plan: SyncPlan): Step {
  const extendAll = step.kind === 'expand' ? compileExpand(step, plan) : compileLookup(step, plan);
  return async (tuples, env, reader, check) => {
    const extended = distinct(await extendAll(tuples, env, reader, check), step.keep);
    check(extended.length);
    return extended;
  };
}

/** The tuple with these variables set; null when one is bound to another value. */
function extend(tuple: Tuple, variables: readonly number[], values: readonly (string | undefined)[]): Tuple | null {
  const longer = tuple.slice();
  for (const [at, variable] of variables.entries()) {
    const value = values[at];
    if (value === undefined) return null;
    if (longer[variable] !== undefined && longer[variable] !== value) return null;
    longer[variable] = value;
  }
  return longer;
}

function distinct(tuples: readonly Tuple[], keep: readonly number[]): Tuple[] {
  const seen = new Map<string, Tuple>();
  for (const tuple of tuples) {
    const kept: Tuple = [];
    for (const variable of keep) kept[variable] = tuple[variable];
    seen.set(keep.map((variable) => tuple[variable]).join('\0'), kept);
  }
  return [...seen.values()];
}

function compileExpand(step: Extract<PlanStep, { kind: 'expand' }>, plan: SyncPlan): Step {
  const source = compileSessionExpression(step.value, plan.fixedJsonExtract);
  const filters = step.filters.map((filter) => compileSessionExpression(filter, plan.fixedJsonExtract));
  const outputs = step.outputs.map((output) => textOf(output.value, plan));
  const variables = step.outputs.map((output) => output.variable);
  return async (tuples, env, _reader, check) => {
    const rows: string[][] = [];
    for (const element of elementsOf(source(env), step.mode)) {
      env.element = element;
      if (!filters.every((filter) => isTrue(filter(env)))) continue;
      const values = outputs.map((output) => output(env));
      if (values.every((value) => value !== null)) rows.push(values);
    }
    env.element = null;
    return join(tuples, () => rows, variables, check);
  };
}

function compileLookup(step: Extract<PlanStep, { kind: 'lookup' }>, plan: SyncPlan): Step {
  const lookup = plan.lookups[step.lookup];
  if (lookup === undefined) throw new Error(`the plan has no lookup ${step.lookup}`);
  const inputs = step.inputs.map((input) => compileOperand(input, plan));
  return async (tuples, env, reader, check) => {
    const keys = tuples.map((tuple) => {
      const values = inputs.map((input) => input(tuple, env));
      return values.some((value) => value === null || value === undefined) ? null : `[${values.join(',')}]`;
    });
    const asked = [...new Set(keys.filter((key) => key !== null))];
    const answers = await reader.read(lookup.identity, asked);
    const byKey = new Map(asked.map((key, at) => [key, answers[at] ?? []]));
    const at = new Map(tuples.map((tuple, index) => [tuple, keys[index]]));
    return join(tuples, (tuple) => byKey.get(at.get(tuple) ?? '') ?? [], step.outputs, check);
  };
}

function compileOperand(
  operand: PlanOperand,
  plan: SyncPlan,
): (tuple: Tuple, env: SessionEnv) => string | null | undefined {
  if (operand.kind === 'variable') return (tuple) => tuple[operand.variable];
  const text = textOf(operand.value, plan);
  return (_tuple, env) => text(env);
}

function join(
  tuples: readonly Tuple[],
  rowsOf: (tuple: Tuple) => readonly (readonly string[])[],
  variables: readonly number[],
  check: CheckSize,
): Tuple[] {
  const joined: Tuple[] = [];
  for (const tuple of tuples) {
    for (const row of rowsOf(tuple)) {
      const longer = extend(tuple, variables, row);
      if (longer !== null) joined.push(longer);
    }
    check(joined.length);
  }
  return joined;
}
