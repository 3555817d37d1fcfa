/** The deny list in Postgres. See ../revocation-store.ts. */
import { codedError } from '../../platform/errors/coded-error.ts';
import type { RecordedRevocation, RevocationStore } from '../revocation-store.ts';
import type { Database, Statement } from './database.ts';

export function createRevocationStore(database: Database, now: () => number): RevocationStore {
  return {
    revoke: ({ key, issuedBeforeMs, expiresMs }, most) =>
      database.transaction(async (transaction) => {
        // Its row stays locked to the end: entries become visible in the order of their revisions.
        const [counter] = await transaction.rows<{ last: number }>(NEXT_REVISION);
        await transaction.change(REMOVE_EXPIRED, [now()]);
        const [others] = await transaction.rows<{ count: number }>(COUNT_OTHERS, [key, most]);
        if (others!.count >= most) throw full(most);
        await transaction.change(RECORD, [key, counter!.last, issuedBeforeMs, expiresMs]);
      }),
    after: (revision, limit) => database.read<RecordedRevocation>(AFTER, [revision, now(), limit]),
  };
}

function full(most: number): Error {
  return codedError(
    'PSYNC_S4108',
    `${most} revocations are recorded, which is the most; they expire within a day. To refuse more tokens than that, replace the key that signed them.`,
  );
}

const NEXT_REVISION: Statement = {
  text: 'UPDATE powersync.revocation_revision SET last = last + 1 WHERE id = 1 RETURNING last',
};

const REMOVE_EXPIRED: Statement = {
  text: `DELETE FROM powersync.revocations WHERE key IN (
    SELECT key FROM powersync.revocations WHERE expires_ms <= $1::bigint ORDER BY expires_ms LIMIT 1000)`,
};

const COUNT_OTHERS: Statement = {
  text: `SELECT count(*)::int AS count FROM (SELECT FROM powersync.revocations WHERE key <> $1 LIMIT $2::int) others`,
};

const RECORD: Statement = {
  text: `INSERT INTO powersync.revocations AS r (key, revision, issued_before_ms, expires_ms) VALUES ($1, $2, $3, $4)
    ON CONFLICT (key) DO UPDATE SET revision = excluded.revision,
      issued_before_ms = greatest(r.issued_before_ms, excluded.issued_before_ms), expires_ms = greatest(r.expires_ms, excluded.expires_ms)`,
};

const AFTER: Statement = {
  name: 'revocations_after',
  text: `SELECT key, revision, issued_before_ms AS "issuedBeforeMs", expires_ms AS "expiresMs"
    FROM powersync.revocations WHERE revision > $1::bigint AND expires_ms > $2::bigint ORDER BY revision LIMIT $3::int`,
};
