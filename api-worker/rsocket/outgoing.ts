/** What a connection says besides the lines of its stream. */
import { errorBody, isCodedError } from '#core/platform/errors/coded-error.ts';
import { createLatestAnswer } from '../connection/latest-answer.ts';
import type { SocketWriter } from '../connection/socket-writer.ts';
import { completeFrame, errorFrame, keepaliveFrame } from './frames.ts';
import { messageOf } from './websocket-frames.ts';

export interface Outgoing {
  complete(stream: number): void;
  /** Of a stream; 0: of the connection. The message begins with the code: a client that finds none fetches new credentials (S-600). */
  error(stream: number, code: number, error: unknown): void;
  /** Answers a KEEPALIVE (S-599); of several that wait for a client that does not read only the last one. */
  keepalive(data: Buffer): void;
  /** The writer has got rid of something. */
  progress(): void;
}

export function createOutgoing(writer: SocketWriter): Outgoing {
  const keepalive = createLatestAnswer(writer);
  const send = (frame: Buffer): void => {
    const { buffers, bytes } = messageOf(frame);
    writer.write(buffers, bytes, false);
  };
  return {
    complete: (stream) => send(completeFrame(stream)),
    error: (stream, code, error) => send(errorFrame(stream, code, textOf(error))),
    keepalive: (data) => keepalive.send(messageOf(keepaliveFrame(data))),
    progress: keepalive.progress,
  };
}

function textOf(error: unknown): string {
  const { code, description, details } = errorBody(isCodedError(error) ? error : new Error()).error;
  return `[${code}] ${description}${details === undefined ? '' : `\n  ${details}`}`;
}
