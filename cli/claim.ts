/** Bucket storage belongs to one instance (O-69): who may work on it. */
import type { BucketStorage } from '#core/bucket-storage/contract.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';

/**
 * Refuses the storage of another instance with PSYNC_S0106; nothing is changed. `instance` undefined: this process was not told which one it
 * works for, and may only use storage that nobody claimed.
 */
export async function assertOwned(storage: BucketStorage, instance: string | undefined): Promise<void> {
  const owner = await storage.claim.owner();
  if (owner !== null && owner !== instance) throw ofAnother(owner, instance);
}

/** Claims what is nobody's; the storage must be migrated. The first of several wins, the others get PSYNC_S0106. */
export async function claimStorage(storage: BucketStorage, instance: string | undefined): Promise<void> {
  if (instance === undefined) return assertOwned(storage, instance);
  const owner = await storage.claim.take(instance);
  if (owner !== instance) throw ofAnother(owner, instance);
}

function ofAnother(owner: string, instance: string | undefined): Error {
  return codedError(
    'PSYNC_S0106',
    instance === undefined
      ? `Bucket storage belongs to the instance ${owner}. If this is it, say so with --instance ${owner} or system.instance_id; else use another database.`
      : `Bucket storage belongs to the instance ${owner}, not to ${instance}: two instances must never share one. Give this one a database of its own. ` +
          `If ${owner} is gone for good, end it first: millrace teardown TEARDOWN --instance ${owner} (with --keep-storage its data is kept for the next).`,
  );
}
