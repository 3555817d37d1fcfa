/**
 * One RSocket connection of a client (S-593…S-602): SETUP with the token, then one stream at a time. Pure protocol: bytes come in
 * through `receive`, go out through the writer; the WebSocket around it is websocket-route.ts.
 */
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { Connection, ConnectionOptions } from './contract.ts';
import { decodeFrame, FrameError, RSOCKET_ERROR, type ClientFrame } from './frames.ts';
import { createOutgoing } from './outgoing.ts';
import { MAX_LIFETIME_MS, readSetup, refusedSetup } from './set-up.ts';
import { createStreams } from './streams.ts';

/** A KEEPALIVE may carry data, which goes back. */
const MAX_KEEPALIVE_BYTES = 1024;

type State = 'new' | 'verifying' | 'ready' | 'closed';

export function createConnection(options: ConnectionOptions): Connection {
  const { authenticate, close } = options;
  const outgoing = createOutgoing(options.writer);
  let state: State = 'new';
  let lifetimeMs = MAX_LIFETIME_MS;

  /** Nothing of the client is left afterwards, and nothing that it sends counts. */
  const release = (): void => {
    state = 'closed';
    streams.release();
  };
  const end = (how: 'in order' | 'now'): void => {
    release();
    close(how);
  };
  /** Ends the connection with an error that the client understands (S-600). */
  const reject = (code: number, error: unknown): void => {
    if (state === 'closed') return;
    options.onRefused(error);
    outgoing.error(0, code, error);
    end('in order');
  };
  const violation = (message: string): void =>
    reject(
      RSOCKET_ERROR.connectionError,
      codedError('PSYNC_S2001', `The RSocket protocol was violated: ${message}`, { status: 400 }),
    );
  const streams = createStreams({ ...options, outgoing, reject, violation, abort: () => end('now') });

  const setUp = (frame: ClientFrame & { type: 'setup' }): void => {
    const setup = state === 'new' ? readSetup(frame) : refusedSetup(RSOCKET_ERROR.invalidSetup, 'SETUP was sent twice');
    if ('error' in setup) return reject(setup.code, setup.error);
    lifetimeMs = setup.lifetimeMs;
    state = 'verifying';
    authenticate(setup.token).then(
      (token) => {
        if (state !== 'verifying') return;
        state = 'ready';
        streams.serve({ ...setup, token });
      },
      (error: unknown) => reject(RSOCKET_ERROR.rejectedSetup, error),
    );
  };

  const handle = (frame: ClientFrame): void => {
    if (state === 'new' && frame.type !== 'setup') return violation('the first frame must be SETUP');
    switch (frame.type) {
      case 'setup':
        return setUp(frame);
      case 'request stream':
        return streams.begin(frame);
      case 'payload':
        return streams.extend(frame);
      case 'request n':
        return streams.request(frame.stream, frame.n);
      case 'cancel':
      case 'error':
        return frame.stream === 0 ? end('in order') : streams.cancel(frame.stream);
      case 'keepalive':
        if (frame.data.length > MAX_KEEPALIVE_BYTES) return violation('a KEEPALIVE carries too much');
        if (frame.respond) outgoing.keepalive(frame.data);
        return;
      case 'other':
        if (frame.ignorable) return;
        if (frame.stream === 0 || streams.has(frame.stream))
          return violation(`frame type ${frame.code} is not supported`);
        return streams.refuse(
          frame.stream,
          codedError('PSYNC_S2001', 'Only request-stream is supported', { status: 400 }),
        );
    }
  };

  return {
    receive(message, isBinary) {
      if (state === 'closed') return;
      if (!isBinary) return violation('messages must be binary');
      let frame: ClientFrame;
      try {
        frame = decodeFrame(message);
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
        return violation(error.message);
      }
      handle(frame);
    },
    progress() {
      outgoing.progress();
      streams.progress();
    },
    giveUp() {
      if (state !== 'verifying') return end('in order');
      const message = 'The token could not be checked in time: connect again';
      reject(RSOCKET_ERROR.rejectedSetup, codedError('PSYNC_S2204', message));
    },
    closed: release,
    // Methods: an object with accessors becomes a dictionary in V8, 500 bytes of it (the same in streams.ts).
    lifetimeMs: () => lifetimeMs,
    isIdle: () => !streams.isServing(),
  };
}
