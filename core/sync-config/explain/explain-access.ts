/** What a session gets of one querier, step by step, and why the buckets that hold a row are not among it. */
import type { ReadLookups } from '../contract.ts';
import { keyText } from '../evaluate/keys.ts';
import { createLookupReader, type LookupReader, type Tuples } from '../evaluate/lookup-reader.ts';
import { compileStep, type Tuple } from '../evaluate/querier.ts';
import type { SessionEnv } from '../evaluate/session-parameters.ts';
import type { PlanExpr, PlanQuerier, PlanStep, SyncPlan } from '../plan.ts';
import type { AccessReason, AccessReport, AskedLookup, Evaluated } from './contract.ts';
import { printCut, untrueParts } from './evaluated.ts';
import {
  MOST_SHOWN,
  sessionValues,
  shownAnswers,
  stepReason,
  type SessionValues,
  type StepTaken,
  type Wanted,
} from './explain-step.ts';
import { literalOf, valuesOf } from './key-values.ts';
import type { PrintOptions } from './print-expression.ts';

/** Rows of lookups that are read, and tuples that are held, for one querier: far more than a session may get. */
export const MOST_TUPLES = 200_000;

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
  const session = sessionValues(question.plan, question.env, question.legacy);
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

interface AskedTuples {
  readonly keys: readonly string[];
  readonly answers: readonly Tuples[];
}

/** A component's result, and how it came about. */
interface ResolvedComponent {
  readonly tuples: readonly Tuple[];
  readonly taken: readonly StepTaken[];
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
      const taken: StepTaken[] = [];
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
        const before = tuples;
        tuples = await compileStep(step, plan)(before, session.env, watched, bound);
        const current = { step, before, after: tuples, answers: seen.answers };
        if (step.kind === 'lookup') asked.push(askedLookup(plan, step, seen));
        taken.push(current);
        if (tuples.length > 0) continue;
        because = stepReason(session, current, before, null);
        return;
      }
      components.push({ tuples, taken });
    }
  };
  await reader.run([work]);
  return because === null ? { components } : { because };
}

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
  const { querier } = question;
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
  for (const [component, { tuples, taken }] of components.entries()) {
    for (const { position, variable } of positionsOf(querier.key, component)) {
      const value = wanted[position];
      if (value === undefined || tuples.some((tuple) => tuple[variable] === value)) continue;
      return lostAt(session, taken, { variable, value, row: rowAt(position) });
    }
  }
  return { kind: 'no-combination', row: wanted.map((_value, position) => rowAt(position)) };
}

/** Why no tuple has the value at the end: what the first step says after which none has it. */
function lostAt(session: SessionValues, taken: readonly StepTaken[], wanted: Wanted): AccessReason {
  const { variable, value } = wanted;
  const has = (tuple: Tuple): boolean => tuple[variable] === value;
  const binds = taken.findIndex(({ after }) => after.every((tuple) => tuple[variable] !== undefined));
  const at = taken.findIndex(({ after }, index) => index >= binds && !after.some(has));
  const lost = taken[at];
  if (lost === undefined) throw new Error(`no step takes ${variable} away`);
  return at === binds
    ? stepReason(session, lost, lost.before, wanted)
    : stepReason(session, lost, lost.before.filter(has), null);
}
