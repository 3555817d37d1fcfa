/** What the sources' tables look like, for validation and generated schemas (S-33, R-77, O-122). Only asked, never needed. */
import type { Clock } from '#core/platform/clock.ts';
import type { SourceConnection } from '#core/platform/config/service-config.ts';
import type { Log } from '#core/platform/log.ts';
import type { Source } from '#replicator/sources/contract.ts';
import { askInTime, openSourceToAsk } from './ask-source.ts';

export type ReadTable = Awaited<ReturnType<Source['schema']>>[number];

export interface SourceTables {
  /** Null unless all sources were read: a table that was not seen is not missing. */
  readonly tables: readonly ReadTable[] | null;
  /** Why sources could not be read, without secrets. */
  readonly unread: readonly string[];
}
export type ReadSourceTables = () => Promise<SourceTables>;

/** Somebody who creates a table and validates again sees it soon; a dashboard that asks often asks the source rarely. */
const REMEMBER_MS = 10_000;

/** All tables of all sources, asked side by side. Never rejects. */
export async function readSourceTables(
  connections: readonly SourceConnection[],
  { log, clock }: { readonly log: Log; readonly clock: Clock },
): Promise<SourceTables> {
  const answers = await Promise.allSettled(
    connections.map(async (connection) =>
      askInTime(openSourceToAsk(connection, log), clock, (source) => source.schema()),
    ),
  );
  const tables = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  const unread = answers.flatMap((answer, at) => {
    if (answer.status === 'fulfilled') return [];
    const reason = answer.reason instanceof Error ? answer.reason.message : String(answer.reason);
    return [`source ${connections[at]?.tag}: ${reason}`];
  });
  return { tables: unread.length > 0 ? null : tables, unread };
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
