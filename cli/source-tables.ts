/** What the sources' tables look like, for validation and generated schemas (S-33, R-77, O-122). Only asked, never needed. */
import type { Clock } from '#core/platform/clock.ts';
import type { SourceConnection } from '#core/platform/config/service-config.ts';
import type { Log } from '#core/platform/log.ts';
import type { Source } from '#replicator/sources/contract.ts';
import { openSourceToAsk } from './ask-source.ts';

export type ReadTable = Awaited<ReturnType<Source['schema']>>[number];

export interface SourceTables {
  /** Null unless all sources were read: a table that was not seen is not missing. */
  readonly tables: readonly ReadTable[] | null;
  /** Why sources could not be read, without secrets. */
  readonly unread: readonly string[];
}
export type ReadSourceTables = () => Promise<SourceTables>;

/** A source that does not answer must not keep a command or a request waiting. */
const TIMEOUT_MS = 10_000;
/** Somebody who creates a table and validates again sees it soon; a dashboard that asks often asks the source rarely. */
const REMEMBER_MS = 10_000;

/** All tables of all sources, asked side by side. Never rejects. */
export async function readSourceTables(
  connections: readonly SourceConnection[],
  { log, clock }: { readonly log: Log; readonly clock: Clock },
): Promise<SourceTables> {
  const answers = await Promise.allSettled(connections.map((connection) => tablesOf(connection, log, clock)));
  const tables = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  const unread = answers.flatMap((answer, at) => {
    if (answer.status === 'fulfilled') return [];
    const reason = answer.reason instanceof Error ? answer.reason.message : String(answer.reason);
    return [`source ${connections[at]?.tag}: ${reason}`];
  });
  return { tables: unread.length > 0 ? null : tables, unread };
}

async function tablesOf(connection: SourceConnection, log: Log, clock: Clock): Promise<readonly ReadTable[]> {
  const source = openSourceToAsk(connection, log);
  const answered = new AbortController();
  try {
    return await Promise.race([source.schema(), tooLate(clock, answered.signal)]);
  } finally {
    answered.abort();
    // what hangs is given up, not waited for
    void source.close().catch(() => {});
  }
}

async function tooLate(clock: Clock, answered: AbortSignal): Promise<never> {
  await clock.sleep(TIMEOUT_MS, answered).catch(() => {});
  throw new Error(`no answer within ${TIMEOUT_MS / 1000} s`);
}

/** Asks again only after a while; several that ask at once share one answer. */
export function rememberSourceTables(read: ReadSourceTables, clock: Clock): ReadSourceTables {
  let known: { readonly atMs: number; readonly tables: Promise<SourceTables> } | null = null;
  return () => {
    if (known === null || clock.monotonic() - known.atMs > REMEMBER_MS)
      known = { atMs: clock.monotonic(), tables: read() };
    return known.tables;
  };
}
