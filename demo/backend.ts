/** The demo's own backend: takes the changes that devices upload and writes them to Postgres (S-20). Not part of Millrace. */
import type { Pool, PoolClient } from 'pg';

export interface UploadedOperation {
  readonly op: 'PUT' | 'PATCH' | 'DELETE';
  readonly table: string;
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>> | null;
}

/** Columns that devices may write. Whatever else they send is refused. */
const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  todos: ['list_id', 'description', 'completed', 'created_at'],
};
const MAX_OPERATIONS = 1000;

/** An upload that the backend does not accept; the message is for the developer. */
export class UploadRefused extends Error {}

/** Applies one uploaded transaction for a user, whole or not at all. */
export async function applyUpload(pool: Pool, userId: string, operations: readonly UploadedOperation[]): Promise<void> {
  if (!Array.isArray(operations) || operations.length > MAX_OPERATIONS)
    throw new UploadRefused(`An upload has at most ${MAX_OPERATIONS} operations.`);
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    for (const operation of operations) await applyOperation(client, userId, operation);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

async function applyOperation(
  client: PoolClient,
  userId: string,
  { op, table, id, data }: UploadedOperation,
): Promise<void> {
  const allowed = COLUMNS[table];
  if (!allowed) throw new UploadRefused(`The table ${table} cannot be written.`);
  const entries = Object.entries(data ?? {}).map(([column, value]): [string, unknown] => [
    column,
    column === 'completed' ? Boolean(value) : value,
  ]);
  const unknown = entries.find(([column]) => !allowed.includes(column));
  if (unknown) throw new UploadRefused(`The column ${table}.${unknown[0]} cannot be written.`);
  if (op === 'PATCH' && data && 'list_id' in data) throw new UploadRefused('An item cannot be moved to another list.');
  const mine = 'list_id IN (SELECT list_id FROM members WHERE user_id = $1)';
  if (op === 'DELETE') {
    await client.query(`DELETE FROM ${table} WHERE id = $2 AND ${mine}`, [userId, id]);
  } else if (op === 'PATCH') {
    const sets = entries.map(([column], index) => `${column} = $${index + 3}`);
    if (sets.length > 0)
      await client.query(`UPDATE ${table} SET ${sets.join(', ')} WHERE id = $2 AND ${mine}`, [
        userId,
        id,
        ...entries.map(([, value]) => value),
      ]);
  } else {
    const columns = ['id', ...entries.map(([column]) => column)];
    const values = columns.map((_, index) => `$${index + 2}`);
    const updates = entries.map(([column]) => `${column} = excluded.${column}`);
    const member = await client.query('SELECT 1 FROM members WHERE user_id = $1 AND list_id = $2', [
      userId,
      data?.['list_id'] ?? null,
    ]);
    if (member.rowCount === 0) throw new UploadRefused('Only members of a list may add to it.');
    const text = `INSERT INTO ${table} (${columns.join(', ')}) SELECT ${values.join(', ')} WHERE $1::text IS NOT NULL ON CONFLICT (id) DO UPDATE SET ${updates.join(', ')}`;
    await client.query(text, [userId, id, ...entries.map(([, value]) => value)]);
  }
}
