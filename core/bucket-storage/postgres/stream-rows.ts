/** Replication streams as stored. */
import type { ReplicationStream, StreamProgress } from '../contract.ts';
import type { Queryable } from './database.ts';
import { LIVE_STATES } from './instance.ts';

interface StreamRow {
  readonly id: number;
  readonly source: string;
  readonly version: number;
  readonly slot: string;
  readonly position: string | null;
  readonly progress: StreamProgress | null;
  readonly committed_op: number;
  readonly last_commit_ms: number | null;
  readonly definitions: readonly number[];
}

/** True for streams that a version in use needs; the others have only to be removed from the source. */
export const STREAM_IS_LIVE = `EXISTS (SELECT FROM powersync.version_streams lvs
  JOIN powersync.sync_config_versions lv USING (version) WHERE lvs.stream = s.id AND lv.state IN ${LIVE_STATES})`;

/** Streams in the order they were made. `condition` is about `s`. */
export async function readStreams(
  database: Queryable,
  condition: string,
  values: readonly unknown[],
): Promise<ReplicationStream[]> {
  const rows = await database.rows<StreamRow>(
    {
      text: `SELECT s.id, s.source, s.version, s.slot, s.position, s.progress, s.committed_op, s.last_commit_ms,
          ARRAY(SELECT DISTINCT d.id FROM powersync.definitions d JOIN powersync.version_definitions vd ON vd.definition = d.id
            JOIN powersync.sync_config_versions v USING (version)
            WHERE d.stream = s.id AND v.state IN ${LIVE_STATES} ORDER BY d.id) AS definitions
        FROM powersync.streams s WHERE ${condition} ORDER BY s.id`,
    },
    values,
  );
  return rows.map((row) => ({
    id: row.id,
    source: row.source,
    version: row.version,
    slot: row.slot,
    position: row.position,
    progress: row.progress,
    definitions: row.definitions,
    committedOp: row.committed_op,
    lastCommitMs: row.last_commit_ms,
  }));
}
