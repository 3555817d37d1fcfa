import type { StorageClaim } from '../claim.ts';
import type { Database, Statement } from './database.ts';

/** See ../claim.ts. */
export function createClaim(database: Database, now: () => number): StorageClaim {
  const owner = async (): Promise<string | null> => {
    const [table] = await database.read<{ exists: boolean }>(HAS_TABLE);
    if (table?.exists !== true) return null;
    const [row] = await database.read<{ instance: string }>(OWNER);
    return row?.instance ?? null;
  };
  const take = async (instance: string): Promise<string> => {
    await database.change(TAKE, [instance, now()]);
    return (await owner()) ?? take(instance);
  };
  return {
    owner,
    take,
    release: async (instance) => void (await database.change(RELEASE, [instance])),
  };
}

const HAS_TABLE: Statement = { text: `SELECT to_regclass('powersync.claim') IS NOT NULL AS exists` };
const OWNER: Statement = { text: 'SELECT instance FROM powersync.claim WHERE id = 1' };
const TAKE: Statement = {
  text: 'INSERT INTO powersync.claim (id, instance, claimed_ms) VALUES (1, $1, $2::bigint) ON CONFLICT (id) DO NOTHING',
};
const RELEASE: Statement = { text: 'DELETE FROM powersync.claim WHERE id = 1 AND instance = $1' };
