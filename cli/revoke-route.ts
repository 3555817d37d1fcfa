/** Admin API: revoking tokens of clients before they expire. */
import type { FastifyInstance } from 'fastify';
import type { RevocationStore } from '#core/bucket-storage/revocation-store.ts';
import type { Coordination } from '#core/coordination/contract.ts';
import { verifyAdminToken } from '#core/platform/auth/admin-token.ts';
import type { Log } from '#core/platform/log.ts';
import { revokeTokens } from './token/revoke.ts';

export interface RevokeRouteOptions {
  /** `api.tokens` (O-109). */
  readonly tokens: readonly string[];
  readonly store: RevocationStore;
  readonly coordination: Pick<Coordination, 'nudge'>;
  readonly now: () => number;
  readonly log: Log;
}

/** `POST /api/admin/v1/revoke` with `{"subject": …, "issued_before"?: …}` or `{"jti": …}`. */
export function addRevokeRoute(server: FastifyInstance, options: RevokeRouteOptions): void {
  const { tokens, store, coordination, now, log } = options;
  server.post<{ Body: { subject?: unknown; jti?: unknown; issued_before?: unknown } | null }>(
    '/api/admin/v1/revoke',
    { preHandler: async (request) => verifyAdminToken(request.headers.authorization, tokens) },
    async (request) => {
      const { subject, jti, issued_before: issuedBefore } = request.body ?? {};
      const { target, expiresMs } = await revokeTokens(store, { subject, jti, issuedBefore }, now());
      coordination.nudge('revocations');
      const what = 'jti' in target ? target : { subject: target.subject, issued_before: target.issuedBefore };
      log.info({ rid: request.id, ...what }, 'Tokens revoked');
      return { data: { ...what, expires_at: new Date(expiresMs).toISOString() } };
    },
  );
}
