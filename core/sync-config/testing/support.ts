/** For tests: configs, expressions and rows in a few words. */
import { compileSyncConfig } from '../compile.ts';
import { attempt, type QueryContext } from '../compile/context.ts';
import { bindSelect } from '../compile/bind-select.ts';
import { toPlan } from '../compile/bound.ts';
import type { CompileOptions, CompileResult, RowSink } from '../contract.ts';
import { createRowCompiler } from '../evaluate/row-expression.ts';
import { createTableEvaluator } from '../evaluate/table-evaluator.ts';
import type { PlanExpr, SyncPlan } from '../plan.ts';
import { parseQuery } from '../sql/parse-select.ts';
import type { SourceRow, SourceTable, SqliteValue } from '../values.ts';

export const OPTIONS: CompileOptions = {
  defaultSource: 'default',
  sources: ['default', 'other'],
  defaultSchemas: { default: 'public', other: 'public' },
};

export function compile(text: string, options: Partial<CompileOptions> = {}): CompileResult {
  return compileSyncConfig(text, { ...OPTIONS, ...options });
}

/** Compiles a config that must be right, and stores it as JSON like the service does. */
export function planOf(text: string, options: Partial<CompileOptions> = {}): SyncPlan {
  const { plan, diagnostics } = compile(text, options);
  if (plan === null) throw new Error(diagnostics.map(({ code, message }) => `${code} ${message}`).join('\n'));
  return JSON.parse(JSON.stringify(plan)) as SyncPlan;
}

/** A config with one stream of edition 3. */
export function streamOf(...queries: string[]): string {
  return `config: { edition: 3 }\nstreams:\n  s:\n    auto_subscribe: true\n    queries:\n${queries.map((query) => `      - ${JSON.stringify(query)}\n`).join('')}`;
}

/** The codes of a config, errors and warnings, in the order of the text. */
export function codesOf(text: string, options: Partial<CompileOptions> = {}): string[] {
  return compile(text, options).diagnostics.map(({ code }) => code.replace('PSYNC_', ''));
}

export const table = (name: string, columns: readonly string[], source = 'default'): SourceTable => ({
  source,
  schema: 'public',
  name,
  columns,
});

const context = (): QueryContext => {
  let id = 0;
  return {
    dialect: 'stream',
    options: OPTIONS,
    ctes: new Map(),
    insideCte: null,
    bucketParameters: [],
    report: (level, code, message) => {
      if (level === 'error') throw new Error(`${code} ${message}`);
    },
    nextId: () => ++id,
  };
};

/** One SQL expression as it stands in a plan. */
export function planExpressionOf(sql: string): PlanExpr {
  const { select } = parseQuery(`SELECT ${sql} AS v FROM t`);
  const at = context();
  const [item] = attempt(at, () => bindSelect(select, null, at).items, []);
  if (item?.kind !== 'value') throw new Error('no expression');
  return toPlan(item.value, []);
}

/** One SQL expression as a function of rows with these columns. */
export function expressionOf(
  sql: string,
  columns: readonly string[],
  fixedJsonExtract = true,
): (row: SourceRow) => SqliteValue {
  const pattern = { source: 'default', schema: 'public', name: 't', wildcard: false };
  return createRowCompiler(table('t', columns), pattern, fixedJsonExtract).compile(planExpressionOf(sql), []);
}

export interface Contribution {
  readonly buckets: { definition: string; key: string; type: string; id: string; data: string | null }[];
  readonly lookups: { definition: string; key: string; values: string }[];
  readonly writeCheckpoints: { userId: string; clientId: string; checkpoint: bigint }[];
  readonly rejected: { code: string; reason: string }[];
}

/** Everything a row contributes; definitions by name. */
export function contributionOf(
  plan: SyncPlan,
  source: SourceTable,
  row: SourceRow,
  how: 'evaluate' | 'members' = 'evaluate',
): Contribution {
  const result: Contribution = { buckets: [], lookups: [], writeCheckpoints: [], rejected: [] };
  const evaluator = createTableEvaluator(plan, source);
  if (evaluator === null) return result;
  const names = new Map([...plan.buckets, ...plan.lookups].map(({ identity, name }) => [identity, name]));
  const nameOf = (definition: number): string => names.get(evaluator.definitions[definition]?.identity ?? '') ?? '?';
  const sink: RowSink = {
    bucket: (definition, key, type, id, data) =>
      result.buckets.push({ definition: nameOf(definition), key, type, id, data }),
    lookup: (definition, key, values) => result.lookups.push({ definition: nameOf(definition), key, values }),
    writeCheckpoint: (userId, clientId, checkpoint) => result.writeCheckpoints.push({ userId, clientId, checkpoint }),
    rejected: (_definition, code, reason) => result.rejected.push({ code, reason }),
  };
  evaluator[how](row, sink);
  return result;
}
