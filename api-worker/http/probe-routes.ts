/** Health probes (O-163…O-168): no token, no storage, no source (O-165). */
import type { FastifyInstance } from 'fastify';
import type { Clock } from '#core/platform/clock.ts';

export interface ProbeState {
  /** The process has done what it needs to serve. */
  readonly started: boolean;
  /** New sessions would be accepted (O-168). */
  readonly ready: boolean;
}

export function addProbeRoutes(server: FastifyInstance, clock: Clock, state: () => ProbeState): void {
  const answer = (positive: (state: ProbeState) => boolean) => (): { status: number; body: object } => {
    const { started, ready } = state();
    const body = { ready, started, touched_at: new Date(clock.now()).toISOString() };
    return { status: positive({ started, ready }) ? 200 : 400, body };
  };
  const probes = {
    startup: answer(({ started }) => started),
    // An answer at all says that the event loop turns.
    liveness: answer(() => true),
    readiness: answer(({ started, ready }) => started && ready),
  };
  for (const [name, probe] of Object.entries(probes)) {
    server.get(`/probes/${name}`, (_request, reply) => {
      const { status, body } = probe();
      return reply.code(status).header('cache-control', 'no-store').send(body);
    });
  }
}
