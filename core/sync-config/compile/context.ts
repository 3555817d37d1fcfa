import type { SyncConfigCode } from '../codes.ts';
import type { CompileOptions } from '../contract.ts';
import { SqlError, type Select, type Span } from '../sql/ast.ts';

/** Which language a query speaks: streams, legacy parameter and data queries, event payloads. */
export type Dialect = 'stream' | 'parameters' | 'data' | 'event';

/** A `with` entry; `select` is null when it does not parse (reported). */
export interface Cte {
  readonly name: string;
  readonly select: Select | null;
}

/** What binding needs to know besides the query. */
export interface QueryContext {
  readonly dialect: Dialect;
  readonly options: CompileOptions;
  readonly ctes: ReadonlyMap<string, Cte>;
  /** Name of the CTE that is bound; inside of it CTEs are out of reach (S-115). */
  readonly insideCte: string | null;
  /** Of the definition, in legacy data queries; null when errors in its parameter queries hide them. */
  readonly bucketParameters: readonly string[] | null;
  report(level: 'error' | 'warning', code: SyncConfigCode, message: string, span: Span): void;
  /** Numbers the sources of one query. */
  nextId(): number;
}

/** Runs one part of the work; what goes wrong in it is reported and gives `fallback`, so that other parts go on. */
export function attempt<T>(context: Pick<QueryContext, 'report'>, work: () => T, fallback: T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof SqlError) {
      context.report('error', error.code, error.message, error);
      return fallback;
    }
    if (error instanceof RangeError) {
      context.report('error', 'PSYNC_R2105', 'The query is nested too deeply; flatten it.', { start: 0, end: 1 });
      return fallback;
    }
    throw error;
  }
}

/** Throws inside of a CTE, where no CTE can be read (S-115); its name hides a table of the same name there too (S-116). */
export function checkCteInReach(cte: Cte, context: QueryContext, span: Span): void {
  if (context.insideCte === null) return;
  const itself = `${cte.name} is this CTE itself; rename it, or name the table with its schema to read that.`;
  const other = `${cte.name} is a CTE; CTEs cannot read one another. Write a nested subquery.`;
  throw new SqlError('PSYNC_R2208', context.insideCte === cte.name ? itself : other, span);
}

/** What Sync Rules do not have (S-136…S-139). */
export function streamsOnly(what: string, span: Span, context: QueryContext): void {
  if (context.dialect === 'stream') return;
  throw new SqlError(
    'PSYNC_R2219',
    `${what} is only supported in streams, not in bucket definitions and events.`,
    span,
  );
}
