/** For tests: the smallest configs that say who gets what: one query of a stream with its CTEs, or one bucket definition. */
import { compileSyncConfig } from '../compile.ts';
import { createDiagnostics } from '../compile/diagnostics.ts';
import type { CompileOptions } from '../contract.ts';
import { canonical } from '../expr-tree.ts';
import type { PlanQuerier, SyncPlan } from '../plan.ts';
import { SqlError, type Select } from '../sql/ast.ts';
import { asciiLower } from '../sql/lexer.ts';
import { parseQuery } from '../sql/parse-select.ts';
import { readConfig } from '../yaml/read-config.ts';
import { mutantsOf, type Mutant } from './mutations.ts';
import { printSelect } from './print-sql.ts';

export type QueryUnit =
  | { readonly kind: 'stream'; readonly ctes: ReadonlyMap<string, Select>; readonly query: Select }
  | { readonly kind: 'definition'; readonly parameters: readonly Select[]; readonly data: readonly Select[] };

const OPTIONS: CompileOptions = {
  defaultSource: 'default',
  sources: ['default', 'other'],
  defaultSchemas: { default: 'public', other: 'public' },
};

const yamlList = (selects: readonly Select[]): string => JSON.stringify(selects.map(printSelect));

export function configOf(unit: QueryUnit): string {
  if (unit.kind === 'definition') {
    const parameters = unit.parameters.length === 0 ? '' : `    parameters: ${yamlList(unit.parameters)}\n`;
    return `config: { edition: 3 }\nbucket_definitions:\n  u:\n${parameters}    data: ${yamlList(unit.data)}\n`;
  }
  const ctes = [...unit.ctes].map(
    ([name, select]) => `${JSON.stringify(name)}: ${JSON.stringify(printSelect(select))}`,
  );
  const named = ctes.length === 0 ? '' : `    with: { ${ctes.join(', ')} }\n`;
  return `config: { edition: 3 }\nstreams:\n  u:\n${named}    queries: ${yamlList([unit.query])}\n`;
}

/** Null when the compiler refuses it. */
export function compileUnit(unit: QueryUnit): SyncPlan | null {
  return compileSyncConfig(configOf(unit), OPTIONS).plan;
}

/** What decides who gets what: identities of definitions, and how sessions get to their buckets. The order says nothing. */
export function meaningOf({ buckets, lookups, streams }: SyncPlan): string {
  const querier = ({ bucket, components, ...rest }: PlanQuerier): unknown => ({
    ...rest,
    bucket: buckets[bucket]?.identity,
    components: components.map(({ steps }) =>
      steps.map((step) => (step.kind === 'lookup' ? { ...step, lookup: lookups[step.lookup]?.identity } : step)),
    ),
  });
  return canonical([
    [...buckets, ...lookups].map(({ identity }) => identity).toSorted(),
    streams.map(({ queriers }) => queriers.map((item) => canonical(querier(item))).toSorted()),
  ]);
}

/** The units of a config that compile on their own; none when the text is no config. */
export function unitsOf(config: string): QueryUnit[] {
  const structure = readConfig(config, createDiagnostics(config));
  if (structure === null) return [];
  const globals = selectsOf(structure.ctes);
  const streams = structure.streams.flatMap((stream) => {
    const ctes = new Map([...globals, ...selectsOf(stream.ctes)]);
    return parsed(stream.queries).map((query): QueryUnit => ({ kind: 'stream', ctes: usedBy(query, ctes), query }));
  });
  const definitions = structure.definitions.map(({ parameters, data }): QueryUnit => ({
    kind: 'definition',
    parameters: parsed(parameters),
    data: parsed(data),
  }));
  return [...streams, ...definitions].filter((unit) => compileUnit(unit) !== null);
}

type Texts = readonly { readonly sql: string }[];
const parsed = (queries: Texts): Select[] => queries.flatMap(({ sql }) => parseOrNone(sql));
/** Empty when it does not parse. */
export function parseOrNone(text: string): Select[] {
  try {
    return [parseQuery(text).select];
  } catch (error) {
    if (error instanceof SqlError) return [];
    throw error;
  }
}
function selectsOf(
  ctes: readonly { readonly name: { readonly text: string }; readonly query: { readonly sql: string } }[],
) {
  return new Map(
    ctes.flatMap(({ name, query }) => parseOrNone(query.sql).map((select) => [asciiLower(name.text), select] as const)),
  );
}
/** Others would only be the same work again. */
function usedBy(query: Select, ctes: ReadonlyMap<string, Select>): Map<string, Select> {
  const text = printSelect(query);
  return new Map([...ctes].filter(([name]) => text.toLowerCase().includes(name)));
}

/** Every way to change one place of it. */
export function unitMutants(unit: QueryUnit): Mutant<QueryUnit>[] {
  if (unit.kind === 'stream') {
    const ctes = [...unit.ctes].flatMap(([name, select]) =>
      mutantsOf(select, true).map(({ what, tree }) => ({
        what: `CTE: ${what}`,
        tree: { ...unit, ctes: new Map([...unit.ctes, [name, tree]]) },
      })),
    );
    return [
      ...mutantsOf(unit.query, false).map(({ what, tree }) => ({ what, tree: { ...unit, query: tree } })),
      ...ctes,
    ];
  }
  const parameters = unit.parameters.flatMap((select, at) =>
    mutantsOf(select, true).map(({ what, tree }) => ({
      what: `parameters: ${what}`,
      tree: { ...unit, parameters: unit.parameters.with(at, tree) },
    })),
  );
  const data = unit.data.flatMap((select, at) =>
    mutantsOf(select, false).map(({ what, tree }) => ({
      what: `data: ${what}`,
      tree: { ...unit, data: unit.data.with(at, tree) },
    })),
  );
  return [...parameters, ...data];
}
