/** What deploying and switching over have in common: which versions there are, and making one active. The instance is locked. */
import type { CommitNotice } from '../contract.ts';
import type { VersionState } from '../sync-config-store.ts';
import type { Queryable } from './database.ts';
import { bumpRevision, publish, SERVING_STREAMS, UNTIL_ACTIVE, type InstanceRow } from './instance.ts';
import { UNLISTED } from './notice-lists.ts';

export interface VersionRow {
  readonly version: number;
  readonly state: VersionState;
  readonly plan: string;
}

export async function readLiveVersions(transaction: Queryable): Promise<VersionRow[]> {
  return transaction.rows<VersionRow>({
    text: `SELECT version, state, plan FROM powersync.sync_config_versions WHERE state <> 'stopped' ORDER BY version`,
  });
}

/**
 * Makes `version` active in place of the one before. Workers hear of it by a commit of its own; that becomes visible at once, unless
 * another source is in the middle of a transaction (G7).
 */
export async function activate(
  transaction: Queryable,
  instance: InstanceRow,
  version: number,
  now: number,
): Promise<CommitNotice | null> {
  const former = {
    text: `UPDATE powersync.sync_config_versions SET state = 'stopped' WHERE state = 'active' AND version <> $1`,
  };
  await transaction.change(former, [version]);
  const latter = {
    text: `UPDATE powersync.sync_config_versions SET state = 'active', activated_ms = $2 WHERE version = $1`,
  };
  await transaction.change(latter, [version, now]);
  await forgetUnserved(transaction);
  const op = instance.op_sequence + 1;
  const reached = `UPDATE powersync.write_checkpoints_reached SET op = $1 WHERE op = $2 AND custom AND stream IN (${SERVING_STREAMS})`;
  await transaction.change({ text: reached }, [op, UNTIL_ACTIVE]);
  await bumpRevision(transaction);
  // Everything held may have changed, so nothing is listed.
  return publish(transaction, instance, now, { ...UNLISTED, stream: 0, version, sourceTimeMs: null });
}

/** What streams that nobody sees any more had not finished is never going to be visible. */
async function forgetUnserved(transaction: Queryable): Promise<void> {
  const text = `DELETE FROM powersync.pending WHERE state <> 'closed' AND stream NOT IN (${SERVING_STREAMS})`;
  await transaction.change({ text });
}
