import type { SourceConnection } from '#core/platform/config/service-config.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';

/** The connections that a process replicates: those named by `--source`, all when none is. PSYNC_S0105 for an unknown tag. */
export function chosenSources(
  connections: readonly SourceConnection[],
  tags: readonly string[],
): readonly SourceConnection[] {
  const unknown = tags.filter((tag) => !connections.some((connection) => connection.tag === tag));
  if (unknown.length > 0) {
    const known = connections.map(({ tag }) => tag).join(', ');
    throw codedError(
      'PSYNC_S0105',
      `--source ${unknown.join(', ')}: no connection has this tag. The configuration has ${known === '' ? 'no connections' : known}.`,
    );
  }
  return tags.length === 0 ? connections : connections.filter(({ tag }) => tags.includes(tag));
}
