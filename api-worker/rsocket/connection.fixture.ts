/** A connection whose token check, sessions and socket are a test's. */
import { expect } from 'vitest';
import { createFakeClock, type FakeClock } from '#core/platform/clock.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { EncodedLine } from '#core/protocol/lines.ts';
import { createRecordingWriter, type RecordingWriter } from '../testing/recording-writer.ts';
import { error, keepalive, requestN, requestStream, setup, type ServerFrame } from '../testing/rsocket-peer.ts';
import { createConnection } from './connection.ts';
import type { Connection, StreamRequest } from './contract.ts';
import type { PayloadSink } from './payload-sink.ts';

export interface TestSession {
  readonly request: StreamRequest;
  readonly sink: PayloadSink;
  /** Lines that were given to the sink. */
  sent: number;
  /** How often the connection said that the client is gone. */
  told: number;
  /** It ended by itself. */
  hasEnded: boolean;
  send(count?: number): void;
  end(how?: 'end' | 'fail' | 'abort'): void;
}

export interface TestConnection {
  readonly connection: Connection;
  readonly writer: RecordingWriter;
  readonly clock: FakeClock;
  readonly sessions: TestSession[];
  /** Tokens that are being checked, or were. */
  readonly tokens: (string | undefined)[];
  readonly refused: unknown[];
  /** `in order` or `now`, as often as it was asked for. */
  readonly closes: string[];
  /** Frames of the service since the last call. */
  news(): ServerFrame[];
  send(...frames: readonly Buffer[]): void;
  /** Answers the check of the token that is waited for, if any. */
  verify(): Promise<void>;
  refuse(error?: Error): Promise<void>;
}

const line = (text: string): EncodedLine => {
  const part = Buffer.from(text);
  return { parts: [part], bytes: part.length, operations: 0 };
};
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export function startConnection(
  options: { readonly maxRequestBytes?: number; readonly refuseStart?: () => Error | null } = {},
): TestConnection {
  const writer = createRecordingWriter();
  const clock = createFakeClock();
  const sessions: TestSession[] = [];
  const tokens: (string | undefined)[] = [];
  const refused: unknown[] = [];
  const closes: string[] = [];
  let check: PromiseWithResolvers<void> | null = null;
  let seen = 0;

  const start = (request: StreamRequest, sink: PayloadSink): { drained(): void; closed(): void } => {
    const error = options.refuseStart?.() ?? null;
    if (error !== null) throw error;
    const session: TestSession = {
      request,
      sink,
      sent: 0,
      told: 0,
      hasEnded: false,
      send(count = 1) {
        sink.send(Array.from({ length: count }, () => line(`${sessions.indexOf(session)}:${session.sent++}`)));
      },
      end(how = 'end') {
        session.hasEnded = true;
        if (how === 'fail') sink.fail(codedError('PSYNC_S2305', 'Too many buckets'));
        else sink[how]();
      },
    };
    sessions.push(session);
    return { drained: () => undefined, closed: () => void session.told++ };
  };
  const connection = createConnection({
    writer,
    clock,
    compresses: false,
    maxRequestBytes: options.maxRequestBytes ?? 1_000_000,
    async authenticate(authorization) {
      tokens.push(authorization);
      check = Promise.withResolvers();
      await check.promise;
      return { userId: 'u1', claims: { sub: 'u1' }, claimsText: '{}', expiresAtMs: 1e15 };
    },
    start,
    onRefused: (error) => void refused.push(error),
    close: (how) => void closes.push(how),
  });
  return {
    connection,
    writer,
    clock,
    sessions,
    tokens,
    refused,
    closes,
    news() {
      const news = writer.frames.slice(seen);
      seen = writer.frames.length;
      return news;
    },
    send(...frames) {
      for (const frame of frames) connection.receive(frame, true);
    },
    async verify() {
      check?.resolve();
      await settle();
    },
    async refuse(error = codedError('PSYNC_S2101', 'The token is not valid')) {
      check?.reject(error);
      await settle();
    },
  };
}

/** Codes of the protocol, as the clients' library has them. */
export const INVALID_SETUP = 0x1;
export const UNSUPPORTED_SETUP = 0x2;
export const REJECTED_SETUP = 0x3;
export const CONNECTION_ERROR = 0x101;
export const APPLICATION_ERROR = 0x201;

/** A connection with a verified token. */
export async function ready(...options: Parameters<typeof startConnection>): Promise<TestConnection> {
  const peer = startConnection(...options);
  peer.send(setup());
  await peer.verify();
  return peer;
}
/** An ERROR frame whose message contains `text`. */
export const errorOf = (stream: number, code: number, text: string): ServerFrame => ({
  ...{ kind: 'error', stream, code },
  message: expect.stringContaining(text) as string,
});
/** The connection said why, is closed in order, and does nothing any more. */
export function expectClosed(peer: TestConnection, code: number, text: string): void {
  expect(peer.news()).toEqual([errorOf(0, code, text)]);
  expect(peer.closes).toEqual(['in order']);
  expect(peer.refused).toHaveLength(1);
  expectDead(peer);
}
/** It is closed: whatever comes, nothing happens. */
export function expectDead(peer: TestConnection): void {
  const state = (): unknown[] => [[...peer.closes], [...peer.tokens], peer.sessions.length, peer.refused.length];
  const before = state();
  peer.send(
    setup(),
    requestStream(),
    requestStream({ stream: 3 }),
    requestN(5),
    keepalive(),
    error(0),
    Buffer.alloc(3),
  );
  peer.connection.receive(Buffer.from('text'), false);
  peer.connection.progress();
  expect(peer.news()).toEqual([]);
  expect(state()).toEqual(before);
  expect(peer.connection.isIdle()).toBe(true);
  expect(peer.clock.waiting).toBe(0);
}
