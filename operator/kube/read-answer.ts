import type { IncomingMessage } from 'node:http';
import { KubeError } from './kube-error.ts';

/** A page of 500 objects; what is larger is no answer of an API server. */
const MAX_BODY_BYTES = 128 * 1024 * 1024;
/** etcd holds 1.5 MiB an object; with managed fields and as JSON it is a little more. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** All of the body. Rejects with `Unreachable` when it breaks off or is too large. */
export async function readBody(response: IncomingMessage, what: string): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const piece of response as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > MAX_BODY_BYTES) throw new Error('the answer is too large');
      pieces.push(piece);
    }
  } catch (cause) {
    throw new KubeError('Unreachable', `${what}: the answer broke off`, { cause });
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** Lines as they arrive; an unfinished last one is left out. Throws `Unreachable` when the stream breaks. */
export async function* readLines(response: IncomingMessage, what: string): AsyncGenerator<string> {
  let begun: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const piece of response as AsyncIterable<Buffer>) {
      let from = 0;
      for (let end = piece.indexOf(10); end >= 0; end = piece.indexOf(10, from)) {
        begun.push(piece.subarray(from, end));
        const line = Buffer.concat(begun).toString('utf8');
        [begun, bytes, from] = [[], 0, end + 1];
        if (line.trim() !== '') yield line;
      }
      begun.push(piece.subarray(from));
      bytes += piece.length - from;
      if (bytes > MAX_LINE_BYTES) throw new Error('an event is too large');
    }
  } catch (cause) {
    if (cause instanceof KubeError) throw cause;
    throw new KubeError('Unreachable', `${what}: the stream broke off`, { cause });
  }
}
