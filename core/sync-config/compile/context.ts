import type { SyncConfigCode } from '../codes.ts';
import type { CompileOptions } from '../contract.ts';
import { SqlError, type Select, type Span } from '../sql/ast.ts';
import type { FindingLevel } from './diagnostics.ts';

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
  report(level: FindingLevel, code: SyncConfigCode, message: string, span: Span): void;
  /** Numbers the sources of one query. */
  nextId(): number;
}

/** Runs one part of the work; what goes wrong in it is reported and gives `fallback`, so that other parts go on. */
export function attempt<T>(context: Pick<QueryContext, 'report'>, work: () => T, fallback: T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof SqlError) {
      context.report(error.level, error.code, error.message, error);
      return fallback;
    }
    if (error instanceof RangeError) {
      context.report('error', 'PSYNC_R2105', 'The query is nested too deeply; flatten it.', { start: 0, end: 1 });
      return fallback;
    }
    throw error;
  }
}

/** As `attempt`, for work that reports through the context it is given: what ends it after that is a follow-up. */
export function attemptOnce<T>(context: QueryContext, work: (context: QueryContext) => T, fallback: T): T {
  const { context: watched, failed } = watch(context);
  const report: QueryContext['report'] = (level, ...finding) =>
    context.report(level === 'error' && failed() ? 'follow-up' : level, ...finding);
  return attempt({ report }, () => work(watched), fallback);
}

/** The same context, and whether something was reported through it that refuses what is read with it. */
export function watch(context: QueryContext): { readonly context: QueryContext; failed(): boolean } {
  let failed = false;
  const watched: QueryContext = {
    ...context,
    report: (level, ...finding) => {
      if (level !== 'warning') failed = true;
      context.report(level, ...finding);
    },
  };
  return { context: watched, failed: () => failed };
}

/**
 * The query of a CTE. Throws inside of a CTE, where none can be read (S-115; its name hides a table of the same name there too, S-116),
 * and where the CTE could not be read itself.
 */
export function selectOfCte(cte: Cte, context: QueryContext, span: Span): Select {
  if (context.insideCte !== null) {
    const itself = `${cte.name} is this CTE itself; rename it, or name the table with its schema to read that.`;
    const other = `${cte.name} is a CTE; CTEs cannot read one another. Write a nested subquery.`;
    throw new SqlError('PSYNC_R2208', context.insideCte === cte.name ? itself : other, span);
  }
  if (cte.select !== null) return cte.select;
  throw new SqlError('PSYNC_R2228', `${cte.name} cannot be read because of its own errors.`, span, 'follow-up');
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
