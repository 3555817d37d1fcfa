/** What is known of the user's clients: their sessions on this worker, and their write checkpoints. */
import type { SessionView } from '#api-worker/session/report.ts';
import type { WriteCheckpointStore } from '#core/bucket-storage/write-checkpoint-store.ts';
import type { ClientReport, ClientsReport } from './contract.ts';

export interface ClientsQuestion {
  readonly userId: string;
  /** Asked for although no session of it may be there. */
  readonly clientId: string | null;
  readonly op: number;
  readonly sources: readonly string[];
  readonly writeCheckpoints: WriteCheckpointStore;
  /** Null: this process serves no clients. */
  readonly sessions: ((userId: string, limit: number) => readonly SessionView[]) | null;
}

const MOST_SESSIONS = 20;
/** Waiting write checkpoints of a source that are looked through. */
const MOST_WAITING = 1000;

export async function explainClients(question: ClientsQuestion): Promise<ClientsReport> {
  const { userId, clientId, op, sources, writeCheckpoints } = question;
  const sessions = question.sessions?.(userId, MOST_SESSIONS) ?? [];
  const ids = [...new Set([...sessions.map((session) => session.clientId), ...(clientId === null ? [] : [clientId])])];
  const pairs = ids.map((id) => ({ userId, clientId: id }));
  const reached = pairs.length === 0 ? [] : await writeCheckpoints.reached(pairs, op);
  const waiting = pairs.length === 0 ? new Map<string, bigint>() : await waitingOf(userId, sources, writeCheckpoints);
  const numbers = new Map(
    ids.map((id, at) => [
      id,
      { writeCheckpoint: reached[at]?.toString() ?? null, waitingFor: waiting.get(id)?.toString() ?? null },
    ]),
  );
  const clients = sessions.map((session): ClientReport => ({
    clientId: session.clientId,
    connectedSince: new Date(session.connectedMs).toISOString(),
    announced: session.announced === null ? null : String(session.announced.op),
    completed: session.completed === null ? null : String(session.completed),
    ...(numbers.get(session.clientId) ?? { writeCheckpoint: null, waitingFor: null }),
    buckets: session.bucketNames().length,
  }));
  const away = ids.filter((id) => !sessions.some((session) => session.clientId === id));
  for (const id of away) {
    const { writeCheckpoint = null, waitingFor = null } = numbers.get(id) ?? {};
    clients.push({ ...ABSENT, clientId: id, writeCheckpoint, waitingFor });
  }
  return { clients, unknown: unknownOf(question) };
}

const ABSENT = { connectedSince: null, announced: null, completed: null, buckets: null } as const;

/** The greatest number that each client of the user waits for. */
async function waitingOf(
  userId: string,
  sources: readonly string[],
  store: WriteCheckpointStore,
): Promise<Map<string, bigint>> {
  const waiting = new Map<string, bigint>();
  for (const source of sources) {
    for (const { userId: of, clientId, checkpoint } of await store.unresolved(source, MOST_WAITING)) {
      if (of === userId && checkpoint > (waiting.get(clientId) ?? 0n)) waiting.set(clientId, checkpoint);
    }
  }
  return waiting;
}

function unknownOf({ sessions }: ClientsQuestion): string[] {
  const where =
    sessions === null
      ? 'Which clients are connected: this command serves none. Ask a running service with --url.'
      : 'Sessions on other workers: each worker knows its own.';
  return [where, 'What a client did with what was sent: clients do not report it, and nothing of it is stored.'];
}
