/**
 * Write checkpoints (S chapters 13.2, 13.3). Both only record a request and wake the source's leader: no route to the source is needed, and
 * the answer does not wait for it (S-474).
 */
import type { FastifyInstance } from 'fastify';
import type { WriteCheckpointStore } from '#core/bucket-storage/write-checkpoint-store.ts';
import type { Coordination } from '#core/coordination/contract.ts';
import type { TokenVerifier } from '#core/platform/auth/token-verifier.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { Feed } from '../feed/feed.ts';
import { parseClientId } from './sync-request.ts';

export interface WriteCheckpointRouteOptions {
  readonly store: Pick<WriteCheckpointStore, 'create' | 'request'>;
  readonly coordination: Pick<Coordination, 'nudge'>;
  readonly tokenVerifier: TokenVerifier;
  readonly feed: Feed;
}

const MAX_ID = 2n ** 63n - 1n;

export function addWriteCheckpointRoutes(server: FastifyInstance, options: WriteCheckpointRouteOptions): void {
  const { store, coordination, tokenVerifier, feed } = options;

  server.get<{ Querystring: { client_id?: unknown } }>('/write-checkpoint2.json', async (request) => {
    const { userId } = await tokenVerifier.verify(request.headers.authorization);
    const clientId = checkClientId(request.query.client_id, 'client_id');
    await assertActive(feed);
    const checkpoint = await store.create(userId, clientId);
    coordination.nudge('write-checkpoints');
    return { data: { write_checkpoint: String(checkpoint) } };
  });

  server.post('/sync/checkpoint-request', async (request) => {
    const { userId } = await tokenVerifier.verify(request.headers.authorization);
    const { clientId, id } = parseRequest(request.body);
    await assertActive(feed);
    const result = await store.request(userId, clientId, id);
    if (result.created) coordination.nudge('write-checkpoints');
    return { data: { checkpoint_request_id: String(result.id) } };
  });
}

/** Without an active version nothing replicates, so no request would ever be reached (wire/01). */
async function assertActive(feed: Feed): Promise<void> {
  if (feed.current === null) await feed.refresh();
  if (feed.current === null)
    throw codedError('PSYNC_S2302', 'Cannot create a write checkpoint: no sync config is active');
}

function parseRequest(body: unknown): { clientId: string; id: bigint } {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalid('type must be object');
  const { client_id: clientId, checkpoint_request_id: id } = body as Record<string, unknown>;
  if (id === undefined) throw invalid("must have required property 'checkpoint_request_id'");
  return { clientId: checkClientId(clientId, '/client_id'), id: parseId(id) };
}

/** A decimal string (S-477), or a number (wire/07). */
function parseId(value: unknown): bigint {
  const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value;
  const id = typeof text === 'string' && /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
  if (id < 1n || id > MAX_ID) throw invalid(`Expected checkpoint_request_id between 1 and ${MAX_ID}`);
  return id;
}

function checkClientId(value: unknown, path: string): string {
  return parseClientId(value, path, (at, message) => {
    throw invalid(`${at}: ${message}`);
  });
}

function invalid(message: string): Error {
  return codedError('PSYNC_S2001', 'Validation failed', { status: 400, details: [message] });
}
