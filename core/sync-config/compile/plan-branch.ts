/**
 * One branch -> data side (rule of the synced table) and parameter side (querier). The tables of a branch other than the
 * synced one become lookups; they are resolved one after the other, each from what is known already.
 */
import { canonical } from '../expr-tree.ts';
import type { PlanComponent, PlanExpr, PlanLookupRule, PlanOperand, PlanQuerier, PlanRule, PlanStep } from '../plan.ts';
import type { Span } from '../sql/ast.ts';
import { boundKey, toPlan, worldOf, type BoundExpr, type EachSource, type TableSource } from './bound.ts';
import type { Branch, Leaf } from './condition.ts';
import { equalityClasses, type EqualityClass, type Term } from './equality-classes.ts';
import { openBranch, type BranchLedger } from './ledger.ts';

export interface PlannedBranch {
  /** Null when nothing is synced from a table (legacy parameter queries without FROM). */
  readonly rule: PlanRule | null;
  readonly querier: Omit<PlanQuerier, 'bucket' | 'priority'>;
}
export type AddLookup = (rule: PlanLookupRule) => number;

/** What a branch is made into a plan for. */
export interface BranchTarget {
  /** The synced table; null: the keys are `values`, computed on the parameter side (legacy). */
  readonly table: TableSource | null;
  readonly values: readonly BoundExpr[];
  readonly span: Span;
}

/** Throws PSYNC_R2299 when a condition has found no place (G4). */
export function planBranch(branch: Branch, target: BranchTarget, addLookup: AddLookup): PlannedBranch {
  const ledger = openBranch(branch.leaves.map((leaf) => leaf.claim));
  const conditions = placeConditions(branch, target.table, ledger);
  const placed = new Set<string>();
  const matches = branch.leaves.filter((leaf) => leaf.kind === 'match');
  const { all: classes, targets } = equalityClasses(matches, target.values);
  const gates = conditions.gates();
  const scalars = bindScalars(classes, gates, placed);

  const rule = target.table === null ? null : tableRule(target.table, conditions, classes, placed);
  const steps = scheduleSteps({ branch, target, conditions, classes, scalars, placed, addLookup });
  const keys = rule === null ? targets : rule.keys.map(({ of }) => of);
  const { components, key } = assemble(steps, keys, scalars);

  for (const match of matches) {
    if (placed.has(boundKey(match.left)) && placed.has(boundKey(match.right))) ledger.use(match.claim, 'match');
  }
  ledger.verify();
  const querier = { gates: sorted(gates), components, key };
  if (rule === null) return { rule: null, querier };
  return orderKeys({ ...rule.rule, keys: rule.keys.map(({ value }) => value) }, querier);
}

/** Hands out the conditions of a branch where they are put into the plan, and accounts for them there. */
interface PlacedConditions {
  gates(): PlanExpr[];
  /** Filters of one table or parameter array; `eaches` as in `toPlan`. */
  filters(place: TableSource | EachSource, eaches: readonly EachSource[]): PlanExpr[];
  expansionsOf(table: TableSource): EachSource[];
}

/** Constants filter the rows of the synced table if there is one. */
function placeConditions(branch: Branch, target: TableSource | null, ledger: BranchLedger): PlacedConditions {
  const byPlace = new Map<TableSource | EachSource | null, (Leaf & { kind: 'value' })[]>();
  for (const leaf of branch.leaves) {
    if (leaf.kind === 'match') continue;
    const world = worldOf(leaf.value);
    const constantPlace = world.kind === 'constant' ? target : null;
    const place = world.kind === 'row' ? world.table : world.kind === 'each' ? world.each : constantPlace;
    byPlace.set(place, [...(byPlace.get(place) ?? []), leaf]);
  }
  const take = (
    place: TableSource | EachSource | null,
    as: 'filter' | 'gate',
    eaches: readonly EachSource[],
  ): PlanExpr[] =>
    (byPlace.get(place) ?? []).map(({ value, claim }) => {
      ledger.use(claim, as);
      return toPlan(value, eaches);
    });
  return {
    gates: () => take(null, 'gate', []),
    filters: (place, eaches) => take(place, 'filter', eaches),
    expansionsOf: (table) =>
      branch.sources.filter((source) => source.kind === 'each' && source.owner === table) as EachSource[],
  };
}

/** Classes with a value of the session: that value is known from the start, all others of the class become gates. */
function bindScalars(
  classes: readonly EqualityClass[],
  gates: PlanExpr[],
  placed: Set<string>,
): Map<EqualityClass, PlanExpr> {
  const scalars = new Map<EqualityClass, PlanExpr>();
  for (const item of classes) {
    for (const term of item.terms) {
      if (term.side !== 'session') continue;
      const value = toPlan(term.value, []);
      const known = scalars.get(item);
      if (known === undefined) scalars.set(item, value);
      else gates.push({ kind: 'binary', op: '=', left: known, right: value });
      placed.add(term.key);
    }
    // null equals nothing, not even itself
    const known = scalars.get(item);
    if (known !== undefined && item.terms.every((term) => term.side === 'session')) {
      gates.push({ kind: 'isNull', operand: known, negated: true });
    }
  }
  return scalars;
}

/** Terms of one table in one class: the first stands for the class, the others must equal it. */
interface ClassTerms {
  readonly of: EqualityClass;
  readonly value: PlanExpr;
}
interface TableRule {
  readonly rule: Omit<PlanRule, 'keys'>;
  readonly keys: readonly ClassTerms[];
}

function tableRule(
  table: TableSource,
  conditions: PlacedConditions,
  classes: readonly EqualityClass[],
  placed: Set<string>,
): TableRule {
  const eaches = conditions.expansionsOf(table);
  const filters = conditions.filters(table, eaches);
  const keys: ClassTerms[] = [];
  for (const item of classes) {
    const own = item.terms.filter((term) => term.side === 'table' && term.table === table);
    const [first, ...rest] = own.map((term) => (placed.add(term.key), toPlan(term.value, eaches)));
    if (first === undefined) continue;
    for (const other of rest) filters.push({ kind: 'binary', op: '=', left: first, right: other });
    if (own.length === item.terms.length) filters.push({ kind: 'isNull', operand: first, negated: true });
    else keys.push({ of: item, value: first });
  }
  const expansions = eaches.map((each, at) => ({ mode: each.mode, value: toPlan(each.value, eaches.slice(0, at)) }));
  return { rule: { table: table.pattern, expansions, filters: sorted(filters) }, keys };
}

/** Without duplicates, in an order that does not depend on how the query is written. */
function sorted(exprs: readonly PlanExpr[]): PlanExpr[] {
  const byText = new Map(exprs.map((expr) => [canonical(expr), expr]));
  return [...byText].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, expr]) => expr);
}

interface Schedule {
  readonly branch: Branch;
  readonly target: BranchTarget;
  readonly conditions: PlacedConditions;
  readonly classes: readonly EqualityClass[];
  readonly scalars: ReadonlyMap<EqualityClass, PlanExpr>;
  readonly placed: Set<string>;
  readonly addLookup: AddLookup;
}
/** A step before its variables have numbers. */
interface LooseStep {
  readonly uses: readonly EqualityClass[];
  readonly binds: readonly EqualityClass[];
  build(
    operand: (item: EqualityClass) => PlanOperand,
    variable: (item: EqualityClass) => number,
    keep: readonly number[],
  ): PlanStep;
}

/** Orders the tables and arrays: what is known first, unconstrained tables last (far from the synced table first). */
function scheduleSteps(schedule: Schedule): LooseStep[] {
  const { branch, target, classes, scalars } = schedule;
  const known = new Set(scalars.keys());
  const pending = branch.sources.filter(
    (source) => source !== target.table && (source.kind === 'table' || source.owner === null),
  );
  const steps: LooseStep[] = [];
  const touches = (source: (typeof pending)[number], item: EqualityClass): boolean =>
    item.terms.some(
      (term) => (term.side === 'table' && term.table === source) || (term.side === 'each' && term.each === source),
    );
  while (pending.length > 0) {
    const next =
      cheapest(pending, (source) =>
        rankOf(
          source,
          classes.filter((item) => touches(source, item)),
          schedule,
          known,
        ),
      ) ?? farthest(pending, schedule);
    pending.splice(pending.indexOf(next), 1);
    const step = next.kind === 'table' ? lookupStep(next, known, schedule) : expandStep(next, schedule);
    for (const item of step.binds) known.add(item);
    steps.push(step);
  }
  return steps;
}

/**
 * How much a step may add to what is held, least first: it only filters; it starts from a value of the session; it expands an
 * array of the session; it follows what an earlier step gave. Null: nothing is known of the table. In this order rows
 * that a later condition takes away again are hardly ever read.
 */
function rankOf(
  source: TableSource | EachSource,
  touched: readonly EqualityClass[],
  { scalars }: Schedule,
  known: ReadonlySet<EqualityClass>,
): number | null {
  if (touched.length > 0 && touched.every((item) => known.has(item))) return 0;
  if (source.kind === 'each') return 2;
  if (touched.some((item) => scalars.has(item))) return 1;
  return touched.some((item) => known.has(item)) ? 3 : null;
}

/** The first one of the least rank. */
function cheapest<T>(pending: readonly T[], rankOf: (item: T) => number | null): T | undefined {
  let best: T | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const item of pending) {
    const rank = rankOf(item) ?? Number.POSITIVE_INFINITY;
    if (rank >= least) continue;
    least = rank;
    best = item;
  }
  return best;
}

/** Of tables that nothing is known of: the one that needs most steps to reach the synced table. */
function farthest<T extends TableSource | EachSource>(pending: readonly T[], { target, classes }: Schedule): T {
  const distance = new Map<TableSource | null, number>([[target.table, 0]]);
  for (let round = 0; round < pending.length; round++) {
    for (const item of classes) {
      const tables = item.terms.flatMap((term) => (term.side === 'table' ? [term.table] : []));
      const nearest = Math.min(...tables.map((table) => distance.get(table) ?? Number.POSITIVE_INFINITY));
      for (const table of tables)
        if (!distance.has(table) && Number.isFinite(nearest)) distance.set(table, nearest + 1);
    }
  }
  const distanceOf = (source: T): number => (source.kind === 'table' ? (distance.get(source) ?? 0) : 0);
  return pending.reduce((best, source) => (distanceOf(source) > distanceOf(best) ? source : best));
}

function lookupStep(
  table: TableSource,
  known: ReadonlySet<EqualityClass>,
  { conditions, classes, placed, addLookup }: Schedule,
): LooseStep {
  const { rule, keys } = tableRule(table, conditions, classes, placed);
  const byText = (a: ClassTerms, b: ClassTerms): number => (canonical(a.value) < canonical(b.value) ? -1 : 1);
  const inputs = keys.filter(({ of }) => known.has(of)).toSorted(byText);
  const outputs = keys.filter(({ of }) => !known.has(of)).toSorted(byText);
  const lookup = addLookup({
    ...rule,
    keys: inputs.map(({ value }) => value),
    outputs: outputs.map(({ value }) => value),
  });
  return {
    uses: inputs.map(({ of }) => of),
    binds: outputs.map(({ of }) => of),
    build: (operand, variable, keep) => ({
      kind: 'lookup',
      lookup,
      inputs: inputs.map(({ of }) => operand(of)),
      outputs: outputs.map(({ of }) => variable(of)),
      keep,
    }),
  };
}

function expandStep(each: EachSource, { conditions, classes, scalars, placed }: Schedule): LooseStep {
  const filters = conditions.filters(each, [each]);
  const outputs: ClassTerms[] = [];
  for (const item of classes) {
    const own = item.terms.filter(
      (term): term is Term & { side: 'each' } => term.side === 'each' && term.each === each,
    );
    const [first, ...rest] = own.map((term) => (placed.add(term.key), toPlan(term.value, [each])));
    if (first === undefined) continue;
    for (const other of rest) filters.push({ kind: 'binary', op: '=', left: first, right: other });
    const scalar = scalars.get(item);
    if (scalar !== undefined) filters.push({ kind: 'binary', op: '=', left: first, right: scalar });
    else outputs.push({ of: item, value: first });
  }
  const { mode } = each;
  const value = toPlan(each.value, []);
  return {
    uses: [],
    binds: outputs.map(({ of }) => of),
    build: (_operand, variable, keep) => ({
      kind: 'expand',
      mode,
      value,
      filters: sorted(filters),
      outputs: outputs.map((output) => ({ value: output.value, variable: variable(output.of) })),
      keep,
    }),
  };
}

type Key = PlanQuerier['key'];

/** Steps that share variables form a component; variables are numbered within it. */
function assemble(
  steps: readonly LooseStep[],
  keys: readonly EqualityClass[],
  scalars: ReadonlyMap<EqualityClass, PlanExpr>,
): { components: PlanComponent[]; key: Key } {
  const free = (items: readonly EqualityClass[]): EqualityClass[] => items.filter((item) => !scalars.has(item));
  let groups: { steps: LooseStep[]; classes: Set<EqualityClass> }[] = [];
  for (const step of steps) {
    const classes = free([...step.uses, ...step.binds]);
    const joined = groups.filter((group) => classes.some((item) => group.classes.has(item)));
    const merged = {
      steps: [...joined.flatMap((group) => group.steps), step],
      classes: new Set([...joined.flatMap((group) => [...group.classes]), ...classes]),
    };
    groups = [...groups.filter((group) => !joined.includes(group)), merged];
  }
  // merging may have changed the order: steps must follow the schedule
  for (const group of groups) group.steps.sort((a, b) => steps.indexOf(a) - steps.indexOf(b));

  const numberings = groups.map(
    (group) =>
      new Map(
        [...new Set(group.steps.flatMap((step) => free([...step.uses, ...step.binds])))].map((item, at) => [item, at]),
      ),
  );
  const components = groups.map((group, index) => {
    const numbers = numberings[index] as Map<EqualityClass, number>;
    const variable = (item: EqualityClass): number => {
      const number = numbers.get(item);
      if (number === undefined) throw new Error('a variable is not bound in its component');
      return number;
    };
    const operand = (item: EqualityClass): PlanOperand => {
      const scalar = scalars.get(item);
      return scalar === undefined ? { kind: 'variable', variable: variable(item) } : { kind: 'value', value: scalar };
    };
    const wanted = new Set(keys.filter((item) => numbers.has(item)).map(variable));
    const keeps: number[][] = [];
    for (const step of group.steps.toReversed()) {
      keeps.unshift([...wanted].toSorted((a, b) => a - b));
      for (const item of free([...step.uses, ...step.binds])) wanted.add(variable(item));
    }
    // a variable is kept only once it is bound
    const bound = new Set<number>();
    return {
      steps: group.steps.map((step, at): PlanStep => {
        for (const item of free(step.binds)) bound.add(variable(item));
        return step.build(
          operand,
          variable,
          (keeps[at] ?? []).filter((number) => bound.has(number)),
        );
      }),
    };
  });
  const key = keys.map((item): Key[number] => {
    const value = scalars.get(item);
    if (value !== undefined) return { kind: 'value', value };
    const component = numberings.findIndex((numbers) => numbers.has(item));
    const variable = numberings[component]?.get(item);
    if (variable === undefined) throw new Error('a key is not bound by any step');
    return { kind: 'variable', component, variable };
  });
  return { components, key };
}

/**
 * Key positions and components in an order that follows from what they are, so that queries that are filtered in the
 * same way share buckets however they are written (S-94).
 */
function orderKeys(rule: PlanRule, querier: PlannedBranch['querier']): PlannedBranch {
  const order = querier.components.map((component, index) => ({ text: canonical(component), component, index }));
  order.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : a.index - b.index));
  const newIndex = new Map(order.map(({ index }, at) => [index, at]));
  const positions = querier.key.map((part, at) => {
    const moved = part.kind === 'value' ? part : { ...part, component: newIndex.get(part.component) ?? 0 };
    return { part: moved, text: canonical(moved), value: rule.keys[at] as PlanExpr };
  });
  positions.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0));
  return {
    rule: { ...rule, keys: positions.map(({ value }) => value) },
    querier: {
      gates: querier.gates,
      components: order.map(({ component }) => component),
      key: positions.map(({ part }) => part),
    },
  };
}
