/** Health probes over HTTP (O-163…O-168): no token, no storage, no source (O-165). */
import type { FastifyInstance } from 'fastify';
import { PROBE_KINDS, probeAnswer, type Health } from '#core/platform/health.ts';

export function addProbeRoutes(server: FastifyInstance, health: Health): void {
  for (const kind of PROBE_KINDS) {
    server.get(`/probes/${kind}`, (_request, reply) => {
      const { status, contentType, body } = probeAnswer(health, kind);
      return reply.code(status).headers({ 'content-type': contentType, 'cache-control': 'no-store' }).send(body);
    });
  }
}
