/** Bucket definitions of Sync Rules -> definitions and queriers (S chapter 6). */
import { canonical } from '../expr-tree.ts';
import type { PlanBucketRule, PlanExpr, PlanQuerier, PlanStream } from '../plan.ts';
import { SqlError, type Select } from '../sql/ast.ts';
import type { LegacyConfig } from '../yaml/structure.ts';
import { bindSelect } from './bind-select.ts';
import type { BoundSelect } from './bound-select.ts';
import { toPlan, worldOf, type BoundExpr, type EachSource, type TableSource } from './bound.ts';
import { branchesOf, type Branch, type Leaf } from './condition.ts';
import { attempt, watch, type QueryContext } from './context.ts';
import { openBranch } from './ledger.ts';
import { selectOutput, type SelectOutput } from './output.ts';
import { planBranch } from './plan-branch.ts';
import type { PlanBuilder } from './plan-builder.ts';
import { warnDangerous } from './security.ts';

type Querier = Omit<PlanQuerier, 'bucket'>;
interface ParameterQuery {
  readonly names: readonly string[];
  readonly queriers: readonly Querier[];
}

export interface LegacyQueries {
  readonly parameters: readonly Select[];
  readonly data: readonly Select[];
}

export function compileLegacy(
  definition: LegacyConfig,
  queries: LegacyQueries,
  context: QueryContext,
  builder: PlanBuilder,
): PlanStream {
  const parameterContext: QueryContext = { ...context, dialect: 'parameters' };
  const parameterQueries = queries.parameters.flatMap((select) =>
    attempt(parameterContext, () => compileParameterQuery(select, definition, parameterContext, builder), []),
  );
  const names = parameterQueries[0]?.names ?? [];
  checkSameNames(parameterQueries, queries.parameters, context);
  const complete = parameterQueries.length === definition.parameters.length;
  const dataContext: QueryContext = { ...context, dialect: 'data', bucketParameters: complete ? names : null };
  const rules = queries.data.flatMap((select) =>
    attempt(dataContext, () => compileDataQuery(select, names, dataContext), []),
  );
  return {
    name: definition.name.text,
    legacy: true,
    autoSubscribe: true,
    priority: definition.priority,
    subscriptionParameters: [],
    queriers: defineBuckets(definition, parameterQueries, rules, builder),
  };
}

function checkSameNames(queries: readonly ParameterQuery[], selects: readonly Select[], context: QueryContext): void {
  const [first] = queries;
  if (first === undefined || queries.length !== selects.length) return;
  for (const [at, query] of queries.entries()) {
    if (canonical(query.names.toSorted()) === canonical(first.names.toSorted())) continue;
    const message = `This parameter query selects (${query.names.join(', ')}), the first one (${first.names.join(', ')}); they must be the same.`;
    context.report('error', 'PSYNC_R2221', message, selects[at] ?? { start: 0, end: 1 });
  }
}

/** One definition per connection that the data queries read. */
function defineBuckets(
  definition: LegacyConfig,
  parameterQueries: readonly ParameterQuery[],
  rules: readonly PlanBucketRule[],
  builder: PlanBuilder,
): PlanQuerier[] {
  const owner = { name: definition.name.text, legacy: true };
  const names = parameterQueries[0]?.names ?? [];
  const everyone: Querier = { priority: null, gates: [], components: [], key: [] };
  // keys stand in the order of the first parameter query (S-375)
  const queriers =
    definition.parameters.length === 0
      ? [everyone]
      : parameterQueries.flatMap((query) =>
          query.queriers.map((querier) => ({
            ...querier,
            key: names.flatMap((name) => querier.key[query.names.indexOf(name)] ?? []),
          })),
        );
  const sources = [...new Set(rules.map((rule) => rule.table.source))];
  return sources.flatMap((source, at) => {
    const name = at === 0 ? owner.name : `${owner.name}|${source}`;
    const bucket = builder.addBucket(
      owner,
      name,
      source,
      rules.filter((rule) => rule.table.source === source),
    );
    return queriers.map((querier) => ({ bucket, ...querier }));
  });
}

/** Null when something was reported that refuses the query. */
function bindQuery(select: Select, context: QueryContext): BoundSelect | null {
  const { context: watched, failed } = watch(context);
  const bound = bindSelect(select, null, watched);
  return failed() || !bound.complete ? null : bound;
}

function compileParameterQuery(
  select: Select,
  definition: LegacyConfig,
  context: QueryContext,
  builder: PlanBuilder,
): ParameterQuery[] {
  if (select.from.length > 1)
    throw new SqlError('PSYNC_R2219', 'Joins are only supported in streams.', select.from[1] ?? select);
  const bound = bindQuery(select, context);
  if (bound === null) return [];
  const { names, values, priority } = parameterColumns(bound, select);
  const branches = branchesOf(bound.condition, select).map((branch): Branch => ({
    leaves: branch.leaves,
    sources: [...new Set([...bound.sources, ...branch.sources])],
  }));
  checkSameParameters(branches, select);
  const queriers = branches.map((branch) => {
    checkSingleIn(branch);
    if (!definition.acceptDangerous) warnDangerous(branch, values, context);
    return { priority, ...planBranch(branch, { table: null, values, span: select }, builder.addLookup).querier };
  });
  return [{ names, queriers }];
}

interface ParameterColumns {
  readonly names: readonly string[];
  readonly values: readonly BoundExpr[];
  readonly priority: number | null;
}

function parameterColumns(bound: BoundSelect, select: Select): ParameterColumns {
  const names: string[] = [];
  const values: BoundExpr[] = [];
  let priority: number | null = null;
  for (const item of bound.items) {
    if (item.kind === 'star')
      throw new SqlError('PSYNC_R2226', 'A parameter query names its columns; * is not possible.', item.span);
    if (item.name === null) throw new SqlError('PSYNC_R2228', 'This column needs a name; add AS name.', item.span);
    if (item.name === '_priority') {
      const value = item.value.kind === 'integer' ? Number(item.value.value) : Number.NaN;
      if (!(value >= 0 && value <= 3))
        throw new SqlError('PSYNC_R2224', '_priority must be a literal 0, 1, 2 or 3.', item.span);
      priority = value;
      continue;
    }
    const world = worldOf(item.value);
    if (world.kind === 'mixed')
      throw new SqlError(
        'PSYNC_R2212',
        'A bucket parameter comes from the row or from the request, not from both.',
        item.span,
      );
    if (names.includes(item.name))
      throw new SqlError('PSYNC_R2216', `${item.name} is selected twice; rename one with AS.`, item.span);
    names.push(item.name);
    values.push(item.value);
  }
  if (select.from.length === 0 && select.items.length === 0 && select.where === null) {
    throw new SqlError('PSYNC_R2226', 'The parameter query says nothing; select a value or remove it.', select);
  }
  return { names, values, priority };
}

/** The parameter side of what a leaf compares, as text. */
function parametersOf(leaf: Leaf): string[] {
  const sides = leaf.kind === 'match' ? [leaf.left, leaf.right] : [leaf.value];
  return sides.flatMap((side) => {
    const expanded = side.kind === 'element' ? side.of.value : side;
    const kind = worldOf(expanded).kind;
    return kind === 'session' || kind === 'bucket' ? [canonical(withoutSpans(expanded))] : [];
  });
}
function withoutSpans(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, item: unknown) => (key === 'span' ? undefined : item)));
}

/** S-160: all branches of an OR use the same parameters. */
function checkSameParameters(branches: readonly Branch[], select: Select): void {
  const sets = branches.map((branch) => [...new Set(branch.leaves.flatMap(parametersOf))].toSorted().join('\n'));
  if (new Set(sets).size <= 1) return;
  throw new SqlError(
    'PSYNC_R2222',
    'Both sides of OR must use the same parameters; write several queries instead.',
    select.where ?? select,
  );
}

/** S-159. */
function checkSingleIn(branch: Branch): void {
  const matches = branch.leaves.filter((leaf) => leaf.kind === 'match' && leaf.from === 'in');
  const [, second] = matches;
  if (second !== undefined) {
    throw new SqlError(
      'PSYNC_R2223',
      'Only one IN on parameters is possible in one condition; use several parameter queries.',
      second.claim,
    );
  }
}

function compileDataQuery(select: Select, names: readonly string[], context: QueryContext): PlanBucketRule[] {
  if (select.from.length !== 1) {
    const message =
      select.from.length === 0 ? 'A data query needs a table in FROM.' : 'Joins are only supported in streams.';
    throw new SqlError(select.from.length === 0 ? 'PSYNC_R2227' : 'PSYNC_R2219', message, select.from[1] ?? select);
  }
  const bound = bindQuery(select, context);
  if (bound === null) return [];
  const output = selectOutput(bound, select, context);
  const branches = branchesOf(bound.condition, select);
  checkSameParameters(branches, select);
  return branches.map((branch) =>
    dataRule({ ...branch, sources: [...bound.sources, ...branch.sources] }, output, names, select),
  );
}

/** A branch of a data query: bucket parameters match row values, everything else filters the row. */
function dataRule(branch: Branch, output: SelectOutput, names: readonly string[], select: Select): PlanBucketRule {
  checkSingleIn(branch);
  const ledger = openBranch(branch.leaves.map((leaf) => leaf.claim));
  const eaches = branch.sources.filter(
    (source): source is EachSource => source.kind === 'each' && source.owner === output.table,
  );
  const filters: PlanExpr[] = [];
  const keyOf = new Map<string, PlanExpr>();
  for (const leaf of branch.leaves) {
    if (leaf.kind === 'value') {
      filters.push(rowFilter(leaf.value, output.table, eaches, leaf));
      ledger.use(leaf.claim, 'filter');
      continue;
    }
    const [row, bucket] = leaf.left.kind === 'bucketParameter' ? [leaf.right, leaf.left] : [leaf.left, leaf.right];
    if (bucket.kind !== 'bucketParameter') {
      throw new SqlError(
        'PSYNC_R2228',
        'Compare a row value with a bucket parameter as it is: expression = bucket.name.',
        leaf.claim,
      );
    }
    const value = toPlan(row, eaches);
    const known = keyOf.get(bucket.name);
    if (known === undefined) keyOf.set(bucket.name, value);
    else filters.push({ kind: 'binary', op: '=', left: known, right: value });
    ledger.use(leaf.claim, 'match');
  }
  ledger.verify();
  const missing = names.filter((name) => !keyOf.has(name));
  if (missing.length > 0) {
    const list = missing.map((name) => `bucket.${name}`).join(', ');
    throw new SqlError(
      'PSYNC_R2220',
      `Every data query must match every bucket parameter; ${list} is missing in WHERE.`,
      select,
    );
  }
  return {
    table: output.table.pattern,
    expansions: eaches.map((each, at) => ({ mode: each.mode, value: toPlan(each.value, eaches.slice(0, at)) })),
    filters: sortedFilters(filters),
    keys: names.flatMap((name) => keyOf.get(name) ?? []),
    objectType: output.objectType,
    outputs: output.outputs,
  };
}

function rowFilter(value: BoundExpr, table: TableSource, eaches: readonly EachSource[], leaf: Leaf): PlanExpr {
  const world = worldOf(value);
  if (world.kind === 'constant' || (world.kind === 'row' && world.table === table)) return toPlan(value, eaches);
  throw new SqlError(
    'PSYNC_R2228',
    'A data query filters by values of its row and by bucket parameters only.',
    leaf.claim,
  );
}
function sortedFilters(filters: readonly PlanExpr[]): PlanExpr[] {
  const byText = new Map(filters.map((filter) => [canonical(filter), filter]));
  return [...byText].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, filter]) => filter);
}
