/** Admin API: why a user has a row, or has it not. */
import type { FastifyInstance } from 'fastify';
import { verifyAdminToken } from '#core/platform/auth/admin-token.ts';
import { explain, type ExplainDependencies } from './explain/explain.ts';
import { parseExplainRequest } from './explain/request.ts';

export interface ExplainRouteOptions {
  /** `api.tokens` (O-109). */
  readonly tokens: readonly string[];
  readonly dependencies: ExplainDependencies;
}

/**
 * `POST /api/admin/v1/explain` with `{table, id, user, claims?, parameters?, subscriptions?, include_defaults?, client_id?}`. The answer shows the
 * row to whoever has an admin token; nothing of it is logged.
 */
export function addExplainRoute(server: FastifyInstance, { tokens, dependencies }: ExplainRouteOptions): void {
  server.post(
    '/api/admin/v1/explain',
    { preHandler: async (request) => verifyAdminToken(request.headers.authorization, tokens) },
    async (request) => ({ data: await explain(parseExplainRequest(request.body), dependencies) }),
  );
}
