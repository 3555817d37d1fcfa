/**
 * Transactions of processes that are stopped or gone keep the instance document locked until the server ends them (60 s). Their sessions
 * stand in the instance document, so that others can end them at once. A process that is alive repeats its transaction.
 */
import type { Binary, ClientSession, MongoClient, UUID } from 'mongodb';
import type { Instance } from './documents.ts';

type SessionId = UUID | Binary;

export const sessionId = (session: ClientSession): SessionId => (session.id as { id: SessionId }).id;

export function sessionsOfOthers(instance: Instance, own: ClientSession): SessionId[] {
  const all = [...Object.values(instance.sources).map((source) => source.session), ...instance.sessions];
  const ours = hexOf(sessionId(own));
  return all.filter((id) => hexOf(id) !== ours);
}

export const hexOf = (id: SessionId): string => id.toString('hex').replaceAll('-', '');

/** Ends what runs in these sessions. They belong to the same user, so no privilege is needed. */
export async function endTransactions(client: MongoClient, sessions: readonly SessionId[]): Promise<void> {
  if (sessions.length === 0) return;
  await client.db('admin').command({ killSessions: sessions.map((id) => ({ id })) });
}
