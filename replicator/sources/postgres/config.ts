import type { PostgresConnection } from '#core/platform/config/service-config.ts';

/** By which operators find our connections in `pg_stat_activity`. */
export { APPLICATION_NAME as applicationName } from '#core/platform/config/pool-options.ts';

export type { PostgresConnection };

/** The publication that the operator creates. */
export const publicationName = 'powersync';

/** Prefix of the logical messages that move the stream. */
export const messagePrefix = 'millrace';

/** Schema of tables without one in the sync config. */
export const defaultSchema = 'public';

export const oldestVersion = 110_000;

/** Longest name of a slot in Postgres. */
const longestName = 63;

/** `powersync_1_c3c8cf21`: slot names consist of lower-case letters, digits and underscores. */
export function slotName(prefix: string, version: number, random: string): string {
  const tail = `${version}_${random.toLowerCase().replace(/[^a-z0-9]/g, '')}`;
  const head = prefix.toLowerCase().replace(/[^a-z0-9_]/g, '_');
  return head.slice(0, longestName - tail.length) + tail;
}
