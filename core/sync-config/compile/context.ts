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
  /** Inside a CTE other CTEs are out of reach (S-115). */
  readonly insideCte: boolean;
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

/** What Sync Rules do not have (S-136…S-139). */
export function streamsOnly(what: string, span: Span, context: QueryContext): void {
  if (context.dialect === 'stream') return;
  throw new SqlError(
    'PSYNC_R2219',
    `${what} is only supported in streams, not in bucket definitions and events.`,
    span,
  );
}
