/** A stream of the config -> definitions and queriers (S chapter 4). */
import { canonical, visitLeaves } from '../expr-tree.ts';
import type { PlanBucketRule, PlanQuerier, PlanStream } from '../plan.ts';
import { SqlError, type Select } from '../sql/ast.ts';
import type { StreamConfig } from '../yaml/structure.ts';
import { bindSelect } from './bind-select.ts';
import type { BoundExpr, BoundLeaf } from './bound.ts';
import { branchesOf, type Branch } from './condition.ts';
import { attempt, watch, type QueryContext } from './context.ts';
import { selectOutput } from './output.ts';
import { planBranch } from './plan-branch.ts';
import type { PlanBuilder } from './plan-builder.ts';
import { warnDangerous } from './security.ts';

type Querier = Omit<PlanQuerier, 'bucket' | 'priority'>;

/** One rule with every way to reach its buckets. */
interface RuleQueriers {
  readonly rule: PlanBucketRule;
  readonly queriers: Map<string, Querier>;
}

/** `queries`: those that could be parsed. */
export function compileStream(
  stream: StreamConfig,
  queries: readonly Select[],
  context: QueryContext,
  builder: PlanBuilder,
): PlanStream {
  const rules = new Map<string, RuleQueriers>();
  const parameters = new Set<string>();
  for (const query of queries) {
    attempt(context, () => compileQuery(query, { stream, context, builder, rules, parameters }), undefined);
  }
  return {
    name: stream.name.text,
    legacy: false,
    autoSubscribe: stream.autoSubscribe,
    priority: stream.priority,
    subscriptionParameters: [...parameters].toSorted(),
    queriers: defineBuckets(stream, [...rules.values()], builder),
  };
}

interface StreamWork {
  readonly stream: StreamConfig;
  readonly context: QueryContext;
  readonly builder: PlanBuilder;
  readonly rules: Map<string, RuleQueriers>;
  readonly parameters: Set<string>;
}

function compileQuery(query: Select, { stream, context, builder, rules, parameters }: StreamWork): void {
  if (query.from.length === 0) throw new SqlError('PSYNC_R2227', 'The query of a stream needs a table in FROM.', query);
  const { context: watched, failed } = watch(context);
  const select = bindSelect(query, null, watched);
  const output = select.complete ? attempt(watched, () => selectOutput(select, query, watched), null) : null;
  if (failed() || output === null) return;
  for (const branch of branchesOf(select.condition, query)) {
    const whole: Branch = { leaves: branch.leaves, sources: unique([...select.sources, ...branch.sources]) };
    if (!stream.acceptDangerous) warnDangerous(whole, [], context);
    collectParameters(whole, parameters);
    const target = { table: output.table, values: [], span: query };
    const { rule, querier } = planBranch(whole, target, builder.addLookup);
    if (rule === null) continue;
    const bucketRule = { ...rule, objectType: output.objectType, outputs: output.outputs };
    const key = canonical(bucketRule);
    const known = rules.get(key) ?? { rule: bucketRule, queriers: new Map<string, Querier>() };
    known.queriers.set(canonical(querier), querier);
    rules.set(key, known);
  }
}
const unique = <T>(items: readonly T[]): T[] => [...new Set(items)];

/** Names of subscription parameters, for generated client code (S-213). */
function collectParameters(branch: Branch, names: Set<string>): void {
  const collect = (expr: BoundExpr): void =>
    visitLeaves<BoundLeaf>(expr, (leaf) => {
      if (leaf.kind === 'parameter' && leaf.scope === 'subscription' && leaf.key !== null) names.add(leaf.key);
    });
  for (const leaf of branch.leaves)
    for (const side of leaf.kind === 'match' ? [leaf.left, leaf.right] : [leaf.value]) collect(side);
  for (const source of branch.sources) if (source.kind === 'each') collect(source.value);
}

/** Rules that are reached in the same ways share a definition, if they read the same connection (S-94, S-95). */
function defineBuckets(stream: StreamConfig, rules: readonly RuleQueriers[], builder: PlanBuilder): PlanQuerier[] {
  const groups = new Map<string, RuleQueriers[]>();
  for (const entry of rules) {
    const key = canonical([entry.rule.table.source, [...entry.queriers.keys()].toSorted()]);
    groups.set(key, [...(groups.get(key) ?? []), entry]);
  }
  const queriers: PlanQuerier[] = [];
  for (const [index, group] of [...groups.values()].entries()) {
    const [first] = group;
    if (first === undefined) continue;
    const owner = { name: stream.name.text, legacy: false };
    const name = `${stream.name.text}|${index}`;
    const bucket = builder.addBucket(
      owner,
      name,
      first.rule.table.source,
      group.map(({ rule }) => rule),
    );
    for (const querier of first.queriers.values()) queriers.push({ bucket, priority: null, ...querier });
  }
  return queriers;
}
