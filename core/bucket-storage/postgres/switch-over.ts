/** The step in which a new version's stream takes over (S-431, O-126). */
import { codedError } from '../../platform/errors/coded-error.ts';
import type { CommitNotice } from '../contract.ts';
import type { Database, Queryable } from './database.ts';
import { bumpRevision, lockInstance } from './instance.ts';
import { readLiveVersions, activate } from './versions.ts';
import { streamEnded } from './stream-state.ts';
import { assertEpoch, type WriterIdentity } from './writer-reads.ts';

interface AlignedStream {
  readonly id: number;
  readonly source: string;
  readonly position: string | null;
  readonly unfinished: boolean;
}

export interface SwitchOverOptions {
  readonly version: number;
  readonly from: number | null;
  readonly to: number;
}

export function switchOver(
  database: Database,
  identity: WriterIdentity,
  options: SwitchOverOptions,
  now: number,
): Promise<{ active: boolean; notice: CommitNotice | null }> {
  return database.transaction(async (transaction) => {
    const instance = await lockInstance(transaction);
    await assertEpoch(transaction, identity);
    const { version, to } = options;
    const versions = await readLiveVersions(transaction);
    const state = versions.find((row) => row.version === version)?.state;
    // Told again after the answer was lost.
    if (state === 'active') return { active: instance.visible_version === version, notice: null };
    if (state !== 'processing') throw streamEnded(to);
    await adopt(transaction, identity.source, options);
    await transaction.change({ text: SWITCHED }, [version, to]);
    const [waiting] = await transaction.rows<{ count: number }>({ text: NOT_SWITCHED }, [version]);
    if (waiting!.count === 0) {
      const notice = await activate(transaction, instance, version, now);
      // In the middle of another source's transaction clients see the former version until that ends (G1).
      return { active: notice !== null, notice };
    }
    const active = versions.find((row) => row.state === 'active');
    if (active) await shareWithActive(transaction, identity.source, active.version, to);
    await bumpRevision(transaction);
    return { active: false, notice: null };
  });
}

const SWITCHED = 'UPDATE powersync.version_streams SET switched = true WHERE version = $1 AND stream = $2';
const NOT_SWITCHED = 'SELECT count(*)::int AS count FROM powersync.version_streams WHERE version = $1 AND NOT switched';

/** Kept definitions change hands; both streams must have written the same source transactions. */
async function adopt(transaction: Queryable, source: string, { version, from, to }: SwitchOverOptions): Promise<void> {
  const kept = await transaction.rows<{ id: number; stream: number }>(
    {
      text: `SELECT d.id, d.stream FROM powersync.definitions d JOIN powersync.version_definitions vd ON vd.definition = d.id
        WHERE vd.version = $1 AND d.source = $2 AND d.stream <> $3`,
    },
    [version, source, to],
  );
  const writers = [...new Set(kept.map((definition) => definition.stream))];
  const aligned = await transaction.rows<AlignedStream>(
    {
      text: `SELECT id, source, position, first_uncommitted IS NOT NULL OR first_held IS NOT NULL
          OR EXISTS (SELECT FROM powersync.undo u WHERE u.stream = s.id) AS unfinished FROM powersync.streams s WHERE id = ANY($1::int[]) FOR UPDATE`,
    },
    [[to, ...writers, ...(from === null ? [] : [from])]],
  );
  const own = aligned.find((stream) => stream.id === to && stream.source === source);
  if (!own) throw streamEnded(to);
  for (const stream of aligned) {
    if (stream.unfinished && (stream.id === to || writers.includes(stream.id))) {
      throw codedError(
        'PSYNC_S0001',
        `Stream ${stream.id} has an unfinished transaction, so version ${version} cannot take over.`,
      );
    }
    if (writers.includes(stream.id) && stream.position !== own.position) {
      throw codedError(
        'PSYNC_S0001',
        `Streams ${stream.id} and ${to} stand at different positions, so version ${version} cannot take over.`,
      );
    }
  }
  if (kept.length === 0) return;
  const text = 'UPDATE powersync.definitions SET stream = $2 WHERE id = ANY($1::int[])';
  await transaction.change({ text }, [kept.map((definition) => definition.id), to]);
}

/** With other sources still to come the former version stays active: its kept definitions are now fed by the new stream. */
async function shareWithActive(transaction: Queryable, source: string, active: number, to: number): Promise<void> {
  const writes = `EXISTS (SELECT FROM powersync.definitions d JOIN powersync.version_definitions vd ON vd.definition = d.id
    WHERE vd.version = $1 AND d.stream = `;
  const add = `INSERT INTO powersync.version_streams (version, stream, switched) SELECT $1, $2, true WHERE ${writes}$2)
    ON CONFLICT DO NOTHING`;
  await transaction.change({ text: add }, [active, to]);
  const remove = `DELETE FROM powersync.version_streams vs USING powersync.streams s
    WHERE vs.version = $1 AND vs.stream = s.id AND s.source = $2 AND s.id <> $3 AND NOT ${writes}s.id)
      AND EXISTS (SELECT FROM powersync.version_streams o WHERE o.version = $1 AND o.stream = $3)`;
  await transaction.change({ text: remove }, [active, source, to]);
}
