/** What a flush has to know of its stream, read under the lock of the instance. */
import { codedError, type CodedError } from '../../platform/errors/coded-error.ts';
import { LIVE_STATES } from './instance.ts';

export interface StreamState {
  readonly epoch: number;
  /** Null: no such stream of this source. */
  readonly id: number | null;
  readonly committed_op: number;
  readonly first_uncommitted: number | null;
  readonly first_held: number | null;
  readonly hold_until: string | null;
  readonly flush_id: string | null;
  readonly flush_first: number | null;
  readonly flush_last: number | null;
  readonly flush_notice: number | null;
  /** Belongs to a version that is processed or served. */
  readonly live: boolean;
  /** The active version, when this stream feeds it: clients see what it commits. */
  readonly serving: number | null;
  /** Lowest op that another served stream has not made visible. */
  readonly others_open: number | null;
  /** Definitions it writes. */
  readonly writable: readonly number[];
}

export const READ_STREAM_STATE = {
  name: 'read_stream_state',
  text: `SELECT src.epoch, s.id, s.committed_op, s.first_uncommitted, s.first_held, s.progress->>'holdUntil' AS hold_until,
      s.flush_id, s.flush_first, s.flush_last, s.flush_notice,
      EXISTS (SELECT FROM powersync.version_streams vs JOIN powersync.sync_config_versions v USING (version)
        WHERE vs.stream = s.id AND v.state IN ${LIVE_STATES}) AS live,
      (SELECT v.version FROM powersync.version_streams vs JOIN powersync.sync_config_versions v USING (version)
        WHERE vs.stream = s.id AND v.state = 'active') AS serving,
      (SELECT min(least(o.first_uncommitted, o.first_held)) FROM powersync.streams o
        JOIN powersync.version_streams vs ON vs.stream = o.id JOIN powersync.sync_config_versions v ON v.version = vs.version
        WHERE v.state = 'active' AND o.id <> s.id) AS others_open,
      ARRAY(SELECT DISTINCT d.id FROM powersync.definitions d JOIN powersync.version_definitions vd ON vd.definition = d.id
        JOIN powersync.sync_config_versions v USING (version) WHERE d.stream = s.id AND v.state IN ${LIVE_STATES}) AS writable
    FROM powersync.sources src LEFT JOIN powersync.streams s ON s.id = $2 AND s.source = src.source
    WHERE src.source = $1`,
};

export function fenced(source: string): CodedError {
  return codedError('PSYNC_S1003', `Another process took over replicating "${source}"; this one writes no more.`);
}

/** A newer deployment ended the stream while it was written. The writer is still the only one: it goes on with its other streams. */
export function streamEnded(stream: number): CodedError {
  return codedError(
    'PSYNC_S1020',
    `Replication stream ${stream} was ended by a newer deployment; it takes no more writes.`,
  );
}
