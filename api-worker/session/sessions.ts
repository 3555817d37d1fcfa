/** All sync sessions of this worker, whatever connection they came over: the limit on their number, and how they end together. */
import { revoked, type RevocationList } from '#core/platform/auth/revocations.ts';
import type { Clock } from '#core/platform/clock.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { Log } from '#core/platform/log.ts';
import type { CloseReason, LineSink, SyncRequest } from './contract.ts';
import { createSessionReport, type SessionFigures, type ObservedReport, type SessionView } from './report.ts';
import { startSession, type Session, type SessionDependencies } from './session.ts';

export interface Sessions {
  readonly count: number;
  /** New ones are refused at the limit and while shutting down (S-605, S-606). Throws PSYNC_S2003 (503) while shutting down, PSYNC_S2304 (429) at the limit. */
  assertRoom(): void;
  /** Throws PSYNC_S2120 (401) when the token was revoked since it was verified; so does `start`. */
  assertNotRevoked(claims: SyncRequest['claims']): void;
  start(request: SyncRequest, positions: ReadonlyMap<string, number>, sink: LineSink): Session;
  /** Sessions of this worker that a user has now, at most `limit` of them. */
  ofUser(userId: string, limit: number): SessionView[];
  /** Ends the sessions whose token is revoked by now. */
  endRevoked(): void;
  /** Refuses new sessions and ends the present ones, spread over at most `overMs`; resolves when none is left. */
  drain(overMs: number): Promise<void>;
  endAll(reason: CloseReason): void;
}

export interface SessionsOptions extends SessionDependencies {
  readonly maxSessions: number;
  readonly revocations: Pick<RevocationList, 'isRevoked'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly figures: SessionFigures;
  readonly onCount: (sessions: number) => void;
}

/** Clients come back at once: not faster than others can take them in. */
const ENDS_PER_SECOND = 500;
const DRAIN_STEP_MS = 50;

export function createSessions(options: SessionsOptions): Sessions {
  const { clock, log, figures, maxSessions, revocations, onCount } = options;
  const sessions = new Map<Session, { readonly request: SyncRequest; readonly report: ObservedReport }>();
  let count = 0;
  let draining = false;

  const assertNotRevoked: Sessions['assertNotRevoked'] = (claims) => {
    if (revocations.isRevoked(claims)) throw revoked();
  };

  const start: Sessions['start'] = (request, positions, sink) => {
    assertNotRevoked(request.claims);
    let session: Session | null = null;
    let hasEnded = false;
    const onEnded = (): void => {
      hasEnded = true;
      if (session !== null) sessions.delete(session);
      onCount(--count);
    };
    // counted last: what throws before has taken no place
    const report = createSessionReport({ request, log, figures, clock, onEnded });
    onCount(++count);
    session = startSession(options, request, positions, sink, report);
    if (!hasEnded) sessions.set(session, { request, report });
    return session;
  };

  const drain: Sessions['drain'] = async (overMs) => {
    draining = true;
    const spreadMs = Math.min(overMs, (sessions.size / ENDS_PER_SECOND) * 1000);
    const perStep = Math.max(1, Math.ceil((sessions.size * DRAIN_STEP_MS) / Math.max(spreadMs, 1)));
    while (sessions.size > 0) {
      for (const session of [...sessions.keys()].slice(0, perStep)) session.end('shutting down');
      if (sessions.size > 0) await clock.sleep(DRAIN_STEP_MS);
    }
  };

  return {
    get count() {
      return count;
    },
    assertRoom() {
      if (draining) throw codedError('PSYNC_S2003', 'The service is restarting: connect again');
      if (count >= maxSessions) {
        throw codedError(
          'PSYNC_S2304',
          `Maximum active concurrent connections limit has been reached (${maxSessions})`,
        );
      }
    },
    assertNotRevoked,
    start,
    ofUser(userId, limit) {
      const found = [...sessions.values()].filter(({ request }) => request.userId === userId);
      return found.slice(0, limit).map(({ report }) => report.view());
    },
    endRevoked() {
      const ended = [...sessions].filter(([, { request }]) => revocations.isRevoked(request.claims));
      for (const [session] of ended) session.end('token revoked');
    },
    drain,
    endAll(reason) {
      for (const session of [...sessions.keys()]) session.end(reason);
    },
  };
}
