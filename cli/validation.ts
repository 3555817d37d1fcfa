/** What the validating routes answer: the findings, and the tables that the sync config would read (wire/10, O-116, O-270). */
import type { SourceConnection } from '#core/platform/config/service-config.ts';
import type { CompileResult, Diagnostic, SyncPlan } from '#core/sync-config/contract.ts';
import { matchesTable } from '#core/sync-config/evaluate/matches-table.ts';
import { formatDiagnostic, type CompileForInstance } from './deploy.ts';
import type { ReadSourceTables, SourceTables } from './source-tables.ts';
import { tableUse } from './table-uses.ts';

export interface Validation extends SourceTables {
  readonly result: CompileResult;
}

export type ValidateText = (text: string) => Promise<Validation>;

/** The active sync config, the one that is being deployed, and what somebody is working on. */
const REMEMBERED_TEXTS = 4;

/**
 * Compiles against the tables of the sources as far as they can be read. The last few texts are remembered while those are the same: a
 * dashboard asks for diagnostics every few seconds.
 */
export function createValidation(compile: CompileForInstance, sourceTables: ReadSourceTables): ValidateText {
  let against: SourceTables | null = null;
  const remembered = new Map<string, Validation>();
  return async (text) => {
    const sources = await sourceTables();
    if (sources !== against) remembered.clear();
    against = sources;
    const known = remembered.get(text);
    if (known !== undefined) return known;
    const validation = { ...sources, result: compile(text, sources.tables) };
    const [oldest] = remembered.keys();
    if (oldest !== undefined && remembered.size >= REMEMBERED_TEXTS) remembered.delete(oldest);
    remembered.set(text, validation);
    return validation;
  };
}

/** `POST /api/admin/v1/validate`, as the field's tools read it; `valid`, codes, lines and columns are ours. */
export function adminValidation(
  { result, tables, unread }: Validation,
  connections: readonly SourceConnection[],
  nowMs: number,
): object {
  const ts = new Date(nowMs).toISOString();
  const missing = unread.map((reason) => ({
    level: 'warning',
    message: `Tables and columns were not compared: ${reason}`,
    ts,
  }));
  return {
    valid: result.plan !== null,
    connections: result.plan === null ? [] : connectionsOf(result.plan, tables, connections),
    errors: [...result.diagnostics.map((item) => ({ ...diagnosticBody(item), ts })), ...missing],
  };
}

/** One finding, as answers of the admin API show it. */
export function diagnosticBody({ level, code, message, startOffset, endOffset, line, column }: Diagnostic): object {
  const location = { start_offset: startOffset, end_offset: endOffset, line, column };
  return { level: level === 'error' ? 'fatal' : 'warning', code, message, location };
}

function connectionsOf(
  plan: SyncPlan,
  known: SourceTables['tables'],
  connections: readonly SourceConnection[],
): object[] {
  return connections
    .filter(({ tag }) => plan.tables.some((table) => table.source === tag))
    .map(({ id, tag }) => ({
      id,
      tag,
      slot_name: '',
      initial_replication_done: false,
      tables: plan.tables
        .filter((table) => table.source === tag)
        .map((pattern) => {
          const { data_queries, parameter_queries, ...named } = tableUse(plan, pattern);
          const found = known === null || known.some((table) => matchesTable(pattern, table));
          const message = `Table "${named.schema}"."${named.name}" was not found; it syncs once it exists.`;
          const errors = found ? [] : [{ level: 'warning', code: 'PSYNC_R2301', message }];
          return { ...named, replication_id: [], data_queries, parameter_queries, errors };
        }),
    }));
}

/** `POST /api/sync-rules/v1/validate` (O-116). */
export function syncRulesValidation({ result }: Validation): object {
  const { plan, diagnostics } = result;
  const of = (level: Diagnostic['level']): string[] =>
    diagnostics.filter((item) => item.level === level).map(formatDiagnostic);
  if (plan === null) return { valid: false, errors: of('error'), warnings: of('warning') };
  return { valid: true, warnings: of('warning'), ...planBody(plan) };
}

/** Streams and tables of a plan, as the routes under `/api/sync-rules` list them. */
export function planBody(plan: SyncPlan): object {
  return {
    bucket_definitions: plan.streams.map(({ name, legacy }) => (legacy ? name : `stream ${name}`)),
    source_tables: plan.tables.map((table) => {
      const { data_queries, parameter_queries, schema, name } = tableUse(plan, table);
      return { schema, pattern: name, wildcard: table.wildcard, data_queries, parameter_queries };
    }),
  };
}
