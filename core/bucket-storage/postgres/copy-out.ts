/**
 * Large results as binary COPY: the one way to get bytes from `pg` as bytes. Takes a third of the CPU time of base64 text on either side,
 * but is planned anew each time and takes no parameters: for pages of chunks, not for small answers.
 */
import type { Connection, PoolClient, Submittable } from 'pg';

interface CopyQuery extends Submittable {
  /** Set by the client when it watches the time of an answer; to be called at the end. */
  callback?: (error?: Error) => void;
}

/** Runs `COPY (query) TO STDOUT (FORMAT binary)` and answers all of it. `query` has literals only. */
export function copyOut(client: PoolClient, query: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const unexpected = (): void => undefined;
    const copy = {
      submit: (connection: Connection) => connection.query(`COPY (${query}) TO STDOUT (FORMAT binary)`),
      // The driver's buffer is used again for what arrives next.
      handleCopyData: (message: { chunk: Buffer }) => void parts.push(Buffer.from(message.chunk)),
      handleRowDescription: unexpected,
      handleDataRow: unexpected,
      handleEmptyQuery: unexpected,
      handleCommandComplete: unexpected,
      handleError(error: Error) {
        (copy as unknown as CopyQuery).callback?.(error);
        reject(error);
      },
      handleReadyForQuery() {
        (copy as unknown as CopyQuery).callback?.();
        resolve(Buffer.concat(parts));
      },
    };
    client.query(copy as unknown as CopyQuery);
  });
}

/** Signature, flags, and the length of a header extension that nobody uses. */
const HEADER_BYTES = 19;

/** Rows of a binary COPY, each as its fields; they point into `bytes`. */
export function* copiedRows(bytes: Buffer): Generator<(Buffer | null)[]> {
  let at = HEADER_BYTES;
  for (;;) {
    const fields = bytes.readInt16BE(at);
    at += 2;
    if (fields < 0) return;
    const row = new Array<Buffer | null>(fields);
    for (let index = 0; index < fields; index++) {
      const length = bytes.readInt32BE(at);
      at += 4;
      row[index] = length < 0 ? null : bytes.subarray(at, at + length);
      at += Math.max(length, 0);
    }
    yield row;
  }
}

/** An `int8` field. */
export function readInt8(field: Buffer): number {
  return field.readInt32BE(0) * 2 ** 32 + field.readUInt32BE(4);
}
