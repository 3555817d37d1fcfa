/** All sync sessions of this worker, whatever connection they came over: the limit on their number, and how they end together. */
import type { Clock } from '#core/platform/clock.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { Log } from '#core/platform/log.ts';
import type { CloseReason, LineSink, SyncRequest } from './contract.ts';
import { createSessionReport, type SessionFigures } from './report.ts';
import { startSession, type Session, type SessionDependencies } from './session.ts';

export interface Sessions {
  readonly count: number;
  /** New ones are refused at the limit and while shutting down (S-605, S-606). Throws PSYNC_S2003 (503) while shutting down, PSYNC_S2304 (429) at the limit. */
  assertRoom(): void;
  start(request: SyncRequest, positions: ReadonlyMap<string, number>, sink: LineSink): Session;
  /** Refuses new sessions and ends the present ones, spread over at most `overMs`; resolves when none is left. */
  drain(overMs: number): Promise<void>;
  endAll(reason: CloseReason): void;
}

export interface SessionsOptions extends SessionDependencies {
  readonly maxSessions: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly figures: SessionFigures;
  readonly onCount: (sessions: number) => void;
}

/** Clients come back at once: not faster than others can take them in. */
const ENDS_PER_SECOND = 500;
const DRAIN_STEP_MS = 50;

export function createSessions(options: SessionsOptions): Sessions {
  const { clock, log, figures, maxSessions, onCount } = options;
  const sessions = new Set<Session>();
  let count = 0;
  let draining = false;

  const start: Sessions['start'] = (request, positions, sink) => {
    let session: Session | null = null;
    let hasEnded = false;
    const onEnded = (): void => {
      hasEnded = true;
      if (session !== null) sessions.delete(session);
      onCount(--count);
    };
    onCount(++count);
    session = startSession(
      options,
      request,
      positions,
      sink,
      createSessionReport({ request, log, figures, clock, onEnded }),
    );
    if (!hasEnded) sessions.add(session);
    return session;
  };

  const drain: Sessions['drain'] = async (overMs) => {
    draining = true;
    const spreadMs = Math.min(overMs, (sessions.size / ENDS_PER_SECOND) * 1000);
    const perStep = Math.max(1, Math.ceil((sessions.size * DRAIN_STEP_MS) / Math.max(spreadMs, 1)));
    while (sessions.size > 0) {
      for (const session of [...sessions].slice(0, perStep)) session.end('shutting down');
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
    start,
    drain,
    endAll(reason) {
      for (const session of [...sessions]) session.end(reason);
    },
  };
}
