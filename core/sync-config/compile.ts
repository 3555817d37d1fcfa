import type { CompileOptions, CompileResult, CompileSyncConfig } from './contract.ts';
import { attempt, type Cte, type QueryContext } from './compile/context.ts';
import { createDiagnostics, type Diagnostics } from './compile/diagnostics.ts';
import { compileEvent } from './compile/events.ts';
import { compileLegacy } from './compile/legacy.ts';
import { parseAll } from './compile/parse-queries.ts';
import { createPlanBuilder } from './compile/plan-builder.ts';
import { compileStream } from './compile/streams.ts';
import { bindSelect } from './compile/bind-select.ts';
import { matchesTable } from './evaluate/matches-table.ts';
import type { SyncPlan } from './plan.ts';
import { asciiLower } from './sql/lexer.ts';
import { readConfig } from './yaml/read-config.ts';
import type { ConfigStructure, CteConfig, Key } from './yaml/structure.ts';

/**
 * Text of a sync config -> plan, or the reasons why there is none (S-32). Reports as many findings as it can in one run.
 * Never throws: a failure of the compiler itself is a finding too (G4).
 */
export const compileSyncConfig: CompileSyncConfig = (text, options): CompileResult => {
  const diagnostics = createDiagnostics(text);
  let plan: SyncPlan | null = null;
  try {
    const structure = readConfig(text, diagnostics);
    if (structure !== null) plan = compileStructure(structure, options, diagnostics);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    diagnostics.report(
      'error',
      'PSYNC_R2299',
      `The sync config cannot be compiled: ${reason}. Please report this.`,
      0,
      1,
    );
  }
  return { plan: diagnostics.errorCount() > 0 ? null : plan, diagnostics: diagnostics.all() };
};

function compileStructure(structure: ConfigStructure, options: CompileOptions, diagnostics: Diagnostics): SyncPlan {
  let lastId = 0;
  const base: QueryContext = {
    dialect: 'stream',
    options,
    ctes: new Map(),
    insideCte: null,
    bucketParameters: [],
    report: (level, code, message, span) => diagnostics.report(level, code, message, span.start, span.end),
    nextId: () => ++lastId,
  };
  const builder = createPlanBuilder(structure);
  const globalCtes = readCtes(structure.ctes, base);
  for (const { name } of structure.ctes) checkGlobalName(name, base);
  const streams = structure.streams.map((stream) => {
    const ctes = new Map([...globalCtes, ...readCtes(stream.ctes, base)]);
    return compileStream(stream, parseAll(stream.queries, base), { ...base, ctes }, builder);
  });
  const definitions = structure.definitions.map((definition) => {
    const queries = { parameters: parseAll(definition.parameters, base), data: parseAll(definition.data, base) };
    return compileLegacy(definition, queries, base, builder);
  });
  for (const event of structure.events) compileEvent(event, parseAll(event.payloads, base), base, builder);
  return builder.finish([...streams, ...definitions]);
}

/** A CTE for all streams must not hide a table that some of them may mean (S-686). */
function checkGlobalName(name: Key, { options, report }: QueryContext): void {
  const schema = options.defaultSchemas[options.defaultSource] ?? 'public';
  const pattern = { source: options.defaultSource, schema, name: asciiLower(name.text), wildcard: false };
  if (options.schema?.some((table) => matchesTable(pattern, table)) !== true) return;
  report('error', 'PSYNC_R1211', `"${name.text}" is also a table of the source; rename the query under "with".`, name);
}

/** CTEs by folded name; each is bound once on its own, so that one that is not used is checked too. */
function readCtes(configs: readonly CteConfig[], context: QueryContext): Map<string, Cte> {
  const ctes = new Map<string, Cte>();
  for (const { name, query } of configs) {
    const folded = asciiLower(name.text);
    if (ctes.has(folded))
      context.report('error', 'PSYNC_R1211', `"${name.text}" is defined twice; rename one of them.`, name);
    const [select] = parseAll([query], context);
    ctes.set(folded, { name: folded, select: select ?? null });
  }
  for (const { name, select } of ctes.values()) {
    const inside: QueryContext = { ...context, ctes, insideCte: name };
    if (select !== null) attempt(context, () => bindSelect(select, null, inside), null);
  }
  return ctes;
}
