/** `POST /sync/stream`: the sync session over HTTP (S-507). */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { TokenVerifier, VerifiedToken } from '#core/platform/auth/token-verifier.ts';
import type { Clock } from '#core/platform/clock.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { Sessions } from '../session/sessions.ts';
import { negotiateCompression, negotiateEncoding } from './negotiate.ts';
import { createStreamSink } from './stream-sink.ts';
import { parseSyncRequest } from './sync-request.ts';

export interface StreamRouteOptions {
  readonly sessions: Sessions;
  readonly tokenVerifier: TokenVerifier;
  readonly clock: Clock;
  readonly onSent: (bytes: number) => void;
  /** Takes a connection from the HTTP server. */
  readonly detach: (connection: Duplex) => Socket;
}

/** Streams with zstd at once: each has a compressor of its own, 260 KB (ADR 0009, G9). Others get gzip, or nothing. */
const MAX_ZSTD_STREAMS = 100;

export function addStreamRoute(
  server: FastifyInstance,
  { sessions, tokenVerifier, clock, onSent, detach }: StreamRouteOptions,
): void {
  /** Found before the body is read: who may not connect does not make us read megabytes. */
  const tokens = new WeakMap<FastifyRequest, VerifiedToken>();
  let zstdStreams = 0;

  server.post(
    '/sync/stream',
    {
      async onRequest(request) {
        sessions.assertRoom();
        tokens.set(request, await tokenVerifier.verify(request.headers.authorization));
      },
    },
    (request, reply) => {
      const token = tokens.get(request)!;
      const body = parseSyncRequest(request.body);
      sessions.assertRoom();
      // The body may have taken its time.
      sessions.assertNotRevoked(token.claims);
      // A response gets its socket when those before it are finished.
      if (reply.raw.socket === null || reply.raw.destroyed) throw notConnected();
      const { headers } = request;
      const encoding = negotiateEncoding(headers.accept, body.rawData);
      const compression = negotiateCompression(header(headers['accept-encoding']), zstdStreams < MAX_ZSTD_STREAMS);
      const zstdShare = compression === 'zstd' ? 1 : 0;
      zstdStreams += zstdShare;
      reply.hijack();
      const sink = createStreamSink({
        ...{ response: reply.raw, detach, encoding, compression, clock, onSent },
        onClosed: () => (zstdStreams -= zstdShare),
      });
      const session = sessions.start(
        {
          userId: token.userId,
          claims: token.claims,
          expiresAtMs: token.expiresAtMs,
          connectionParameters: body.connectionParameters,
          includeDefaults: body.includeDefaults,
          subscriptions: body.subscriptions,
          clientId: body.clientId,
          appMetadata: body.appMetadata,
          userAgent: header(headers['x-user-agent']) ?? headers['user-agent'],
          requestId: request.id,
        },
        body.positions,
        sink,
      );
      sink.listen(session);
    },
  );
}

function notConnected(): Error {
  return codedError('PSYNC_S2001', 'A sync stream cannot be pipelined behind another request: open a connection', {
    status: 400,
  });
}

function header(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(',') : value;
}
