/** What a session gets of one querier, step by step, and why the buckets that hold a row are not among it. */
import type { ReadLookups } from '../contract.ts';
import { keyText } from '../evaluate/keys.ts';
import { createLookupReader, type LookupReader, type Tuples } from '../evaluate/lookup-reader.ts';
import { compileStep, type Tuple } from '../evaluate/querier.ts';
import { compileSessionExpression, type SessionEnv } from '../evaluate/session-parameters.ts';
import type { PlanExpr, PlanQuerier, PlanStep, SyncPlan } from '../plan.ts';
import type { AccessReason, AccessReport, AskedLookup, Evaluated } from './contract.ts';
import { evaluated, printCut, untrueParts, type ValueOf } from './evaluated.ts';
import { literalOf, valuesOf } from './key-values.ts';
import { neededRow } from './needed-row.ts';
import type { PrintOptions } from './print-expression.ts';

/** Rows of lookups that are read, and tuples that are held, for one querier: far more than a session may get. */
export const MOST_TUPLES = 200_000;
/** Keys and tuples that are shown. */
export const MOST_SHOWN = 10;

export interface AccessQuestion {
  readonly plan: SyncPlan;
  readonly querier: PlanQuerier;
  readonly env: SessionEnv;
  readonly through: 'default' | number;
  readonly legacy: boolean;
  readonly read: ReadLookups;
  /** Keys of the definition that the row is in; empty: only what the session gets is asked. */
  readonly rowKeys: ReadonlySet<string>;
  /** Keys that the row would be in, if the query took it; only where `rowKeys` is empty. */
  readonly otherwise: ReadonlySet<string>;
  /** What the key positions are of the row. */
  readonly rowValues: readonly PlanExpr[];
  readonly rowPrint: PrintOptions;
}

export interface Access {
  readonly report: AccessReport;
  /** Those of `rowKeys` that the session has; null: not known. */
  readonly shared: readonly string[] | null;
  /** The session has one of `otherwise`. */
  readonly wouldShare: boolean;
}

/** Too many rows lead there. */
class TooMuch extends Error {}

export async function explainAccess(question: AccessQuestion): Promise<Access> {
  const asked: AskedLookup[] = [];
  const none = (because: readonly AccessReason[], shared: readonly string[] | null = []): Access => ({
    report: { through: question.through, keys: [], keyCount: 0, asked, because },
    shared,
    wouldShare: false,
  });
  const session = sessionValues(question);
  const closed = question.querier.gates.flatMap((gate) => untrueParts(gate, session.valueOf));
  if (closed.length > 0) return none(closed.map((gate) => ({ kind: 'gate', ...session.show(gate) })));
  const unusable = question.querier.key.filter(
    (part) => part.kind === 'value' && keyText(session.valueOf(part.value)) === null,
  );
  if (unusable.length > 0) {
    return none(
      unusable.flatMap((part) => (part.kind === 'value' ? [{ kind: 'null-value', ...session.show(part.value) }] : [])),
    );
  }
  try {
    const resolved = await resolveComponents(question, session, asked);
    return 'because' in resolved ? none([resolved.because]) : compare(question, session, resolved.components, asked);
  } catch (error) {
    if (error instanceof TooMuch) return none([{ kind: 'too-much', rows: MOST_TUPLES }], null);
    throw error;
  }
}

interface SessionValues {
  /** Of the element that stands in `env`, if there is one. */
  readonly env: SessionEnv;
  readonly valueOf: ValueOf;
  show(expr: PlanExpr): Evaluated;
  readonly print: PrintOptions;
}

function sessionValues({ plan, env: given, legacy }: AccessQuestion): SessionValues {
  const env = { ...given, element: null };
  const print: PrintOptions = { table: '', expansions: [], legacy };
  const valueOf: ValueOf = (expr) => compileSessionExpression(expr, plan.fixedJsonExtract)(env);
  return { env, valueOf, print, show: (expr) => evaluated(expr, valueOf, print) };
}

/** A component's result, and for each of its variables the step that bound it with the keys that were asked there. */
interface ResolvedComponent {
  readonly tuples: readonly Tuple[];
  readonly boundBy: ReadonlyMap<number, BoundBy>;
}
interface BoundBy {
  readonly step: PlanStep;
  readonly asked: AskedTuples;
}
interface AskedTuples {
  readonly keys: readonly string[];
  readonly answers: readonly Tuples[];
}

async function resolveComponents(
  question: AccessQuestion,
  session: SessionValues,
  asked: AskedLookup[],
): Promise<{ components: ResolvedComponent[] } | { because: AccessReason }> {
  const { plan, querier } = question;
  let read = 0;
  const bound = (tuples: number): void => {
    if (tuples > MOST_TUPLES) throw new TooMuch();
  };
  const reader = createLookupReader(question.read, (tuples) => bound((read += tuples)));
  const components: ResolvedComponent[] = [];
  let because: AccessReason | null = null;
  const work = async (): Promise<void> => {
    for (const component of querier.components) {
      let tuples: Tuple[] = [[]];
      const boundBy = new Map<number, BoundBy>();
      for (const step of component.steps) {
        let seen: AskedTuples = { keys: [], answers: [] };
        const watched: LookupReader = {
          ...reader,
          read: async (identity, keys) => {
            const answers = await reader.read(identity, keys);
            seen = { keys, answers };
            return answers;
          },
        };
        tuples = await compileStep(step, plan)(tuples, session.env, watched, bound);
        if (step.kind === 'lookup') asked.push(askedLookup(plan, step, seen));
        for (const variable of variablesOf(step)) boundBy.set(variable, { step, asked: seen });
        if (tuples.length > 0) continue;
        because = emptyStep(plan, session, step, seen);
        return;
      }
      components.push({ tuples, boundBy });
    }
  };
  await reader.run([work]);
  return because === null ? { components } : { because };
}

const variablesOf = (step: PlanStep): readonly number[] =>
  step.kind === 'lookup' ? step.outputs : step.outputs.map(({ variable }) => variable);

function askedLookup(plan: SyncPlan, step: PlanStep & { kind: 'lookup' }, { keys, answers }: AskedTuples): AskedLookup {
  const lookup = plan.lookups[step.lookup];
  return {
    lookup: lookup?.name ?? '',
    identity: lookup?.identity ?? '',
    keys: keys.slice(0, MOST_SHOWN),
    keyCount: keys.length,
    ...shownAnswers(answers),
  };
}

function shownAnswers(answers: readonly Tuples[]): Pick<AskedLookup, 'answers' | 'answerCount'> {
  const shown: string[] = [];
  let answerCount = 0;
  for (const tuples of answers) {
    answerCount += tuples.length;
    for (const tuple of tuples.slice(0, MOST_SHOWN - shown.length)) shown.push(`[${tuple.join(',')}]`);
  }
  return { answers: shown, answerCount };
}

/** Why a step leaves nothing. */
function emptyStep(plan: SyncPlan, session: SessionValues, step: PlanStep, asked: AskedTuples): AccessReason {
  if (step.kind === 'expand') {
    const list = session.show(step.value);
    const print = { ...session.print, expansions: [step.value] };
    return { kind: 'no-elements', list, conditions: step.filters.map((filter) => printCut(filter, print)) };
  }
  if (asked.keys.length === 0) {
    const [unusable] = step.inputs.flatMap((input) =>
      input.kind === 'value' && keyText(session.valueOf(input.value)) === null ? [input.value] : [],
    );
    if (unusable !== undefined) return { kind: 'null-value', ...session.show(unusable) };
  }
  return { kind: 'no-lookup-row', ...neededRow(plan, step, asked.keys, new Map()), ...shownAnswers(asked.answers) };
}

/** What the session gets, and whether the row's buckets are among it. */
function compare(
  question: AccessQuestion,
  session: SessionValues,
  components: readonly ResolvedComponent[],
  asked: readonly AskedLookup[],
): Access {
  const { querier, rowKeys, otherwise, through } = question;
  const fixed = querier.key.map((part) => (part.kind === 'value' ? keyText(session.valueOf(part.value)) : null));
  const has = membership(querier.key, fixed, components);
  const shared = [...rowKeys].filter((key) => has(valuesOf(key)));
  const keys = new Set(shared.slice(0, MOST_SHOWN));
  for (const key of combinations(querier.key, fixed, components)) {
    if (keys.size >= MOST_SHOWN) break;
    keys.add(key);
  }
  const keyCount = components.reduce((product, { tuples }) => product * tuples.length, 1);
  const [first] = rowKeys;
  const because =
    shared.length > 0 || first === undefined ? [] : [mismatch(question, session, components, fixed, first)];
  const wouldShare = [...otherwise].some((key) => has(valuesOf(key)));
  return { report: { through, keys: [...keys], keyCount, asked, because }, shared, wouldShare };
}

type Key = PlanQuerier['key'];

/** Positions of the key that come from a component, with their variables. */
function positionsOf(key: Key, component: number): { position: number; variable: number }[] {
  return key.flatMap((part, position) =>
    part.kind === 'variable' && part.component === component ? [{ position, variable: part.variable }] : [],
  );
}

/** Is a key one of the combinations? They are not built: there may be very many. */
function membership(
  key: Key,
  fixed: readonly (string | null)[],
  components: readonly ResolvedComponent[],
): (values: readonly string[]) => boolean {
  const parts = components.map(({ tuples }, component) => {
    const positions = positionsOf(key, component);
    return {
      positions,
      known: new Set(tuples.map((tuple) => positions.map(({ variable }) => tuple[variable]).join('\0'))),
    };
  });
  return (values) =>
    values.every((value, at) => fixed[at] === null || fixed[at] === value) &&
    parts.every(({ positions, known }) => known.has(positions.map(({ position }) => values[position]).join('\0')));
}

function* combinations(
  key: Key,
  fixed: readonly (string | null)[],
  components: readonly ResolvedComponent[],
  chosen: readonly Tuple[] = [],
): Generator<string> {
  const next = components[chosen.length];
  if (next !== undefined) {
    for (const tuple of next.tuples) yield* combinations(key, fixed, components, [...chosen, tuple]);
    return;
  }
  const values = key.map((part, at) => (part.kind === 'value' ? fixed[at] : chosen[part.component]?.[part.variable]));
  yield `[${values.join(',')}]`;
}

/** The first value of the row's key that the session does not have. */
function mismatch(
  question: AccessQuestion,
  session: SessionValues,
  components: readonly ResolvedComponent[],
  fixed: readonly (string | null)[],
  rowKey: string,
): AccessReason {
  const { querier, plan } = question;
  const wanted = valuesOf(rowKey);
  const rowAt = (position: number): Evaluated => {
    const expr = question.rowValues[position];
    const sql = expr === undefined ? '' : printCut(expr, question.rowPrint);
    return { sql, value: literalOf(wanted[position] ?? 'null'), reads: [] };
  };
  for (const [position, part] of querier.key.entries()) {
    if (part.kind === 'value' && fixed[position] !== wanted[position])
      return { kind: 'other-value', row: rowAt(position), session: session.show(part.value) };
  }
  for (const [component, { tuples, boundBy }] of components.entries()) {
    for (const { position, variable } of positionsOf(querier.key, component)) {
      if (tuples.some((tuple) => tuple[variable] === wanted[position])) continue;
      const by = boundBy.get(variable);
      if (by?.step.kind === 'expand')
        return { kind: 'not-in-list', list: session.show(by.step.value), row: rowAt(position) };
      if (by?.step.kind !== 'lookup') continue;
      const outputs = new Map([[variable, wanted[position] ?? '']]);
      const needed = neededRow(plan, by.step, by.asked.keys, outputs);
      return { kind: 'no-lookup-row', ...needed, ...shownAnswers(by.asked.answers) };
    }
  }
  return { kind: 'no-combination', row: wanted.map((_value, position) => rowAt(position)) };
}
