/**
 * Lines as JSON texts ended by a newline (S-518). Rendered from the stored operations field by field; no object is built for an operation.
 */
import { codedError } from '../../platform/errors/coded-error.ts';
import type { BucketEntry, EncodedLine, LineEncoding, StreamEntry } from '../lines.ts';

export const NDJSON_CONTENT_TYPE = 'application/x-ndjson';

function line(text: string): EncodedLine {
  const bytes = Buffer.from(text, 'utf8');
  return { parts: [bytes], bytes: bytes.length, operations: 0 };
}

function writeCheckpointField(value: bigint | null): string {
  return value === null ? '' : `"write_checkpoint":"${value}",`;
}

function bucketEntry({ bucket, checksum, count, priority, subscriptions }: BucketEntry): string {
  return `{"bucket":${JSON.stringify(bucket)},"checksum":${checksum},"count":${count},"priority":${priority},"subscriptions":${JSON.stringify(subscriptions)}}`;
}

function streamEntry({ name, isDefault, errors }: StreamEntry): string {
  return `{"name":${JSON.stringify(name)},"is_default":${isDefault},"errors":${JSON.stringify(errors)}}`;
}

const STRING = 0x02;
const DOUBLE = 0x01;
const DOCUMENT = 0x03;
const NULL = 0x0a;

/** How the `data` of an operation is written: as a JSON string (S-395), or as the object it holds (clients without `raw_data`, S-527). */
type DataForm = 'string' | 'object';

/** One string field of an operation; `checksum` and `data` differ from the others. */
function renderField(bytes: Buffer, type: number, name: string, at: number, form: DataForm): string {
  if (type === DOUBLE) return `"${name}":${bytes.readDoubleLE(at)}`;
  if (type === NULL) return `"${name}":null`;
  const text = bytes.toString('utf8', at + 4, at + 3 + bytes.readInt32LE(at));
  return form === 'object' && name === 'data' ? `"data":${text}` : `"${name}":${JSON.stringify(text)}`;
}

/** A MOVE or CLEAR has no row: its `data` is left out, as the recordings have it (wire/13). */
function isLeftOut(bytes: Buffer, name: string, document: number): boolean {
  // Offset of the first letter of the op after the fields op_id and op; see operations.ts.
  const opIdLength = bytes.readInt32LE(document + 11);
  const letter = bytes[document + 15 + opIdLength + 8];
  return name === 'data' && (letter === 0x4d || letter === 0x43);
}

/** All operations as the content of a JSON array. Throws PSYNC_S0001 for bytes that are no operations. */
export function renderOperations(bytes: Buffer, form: DataForm): string {
  let text = '';
  let element = 0;
  while (element < bytes.length) {
    const document = bytes.indexOf(0, element + 1) + 1;
    if (bytes[element] !== DOCUMENT || document === 0 || document + 5 > bytes.length) throw malformed();
    const end = document + bytes.readInt32LE(document);
    if (end > bytes.length || end <= document + 4) throw malformed();
    let separator = element === 0 ? '{' : ',{';
    let at = document + 4;
    while (at < end - 1) {
      const type = bytes[at]!;
      const nameEnd = bytes.indexOf(0, at + 1);
      const name = bytes.toString('latin1', at + 1, nameEnd);
      at = nameEnd + 1;
      if (type !== NULL || !isLeftOut(bytes, name, document)) {
        text += separator + renderField(bytes, type, name, at, form);
        separator = ',';
      }
      if (type === STRING) at += 4 + bytes.readInt32LE(at);
      else if (type === DOUBLE) at += 8;
      else if (type !== NULL) throw malformed();
    }
    text += '}';
    element = end;
  }
  return text;
}

function malformed(): Error {
  return codedError(
    'PSYNC_S0001',
    'A stored chunk of operations is malformed. Bucket storage was changed by something else, or this is a bug.',
  );
}

function createNdjsonEncoding(name: 'ndjson' | 'ndjson-objects', form: DataForm): LineEncoding {
  return {
    name,
    contentType: NDJSON_CONTENT_TYPE,

    checkpoint: ({ lastOpId, writeCheckpoint, buckets, streams }) =>
      line(
        `{"checkpoint":{"last_op_id":"${lastOpId}",${writeCheckpointField(writeCheckpoint)}"buckets":[${buckets.map(bucketEntry).join()}],"streams":[${streams.map(streamEntry).join()}]}}\n`,
      ),

    checkpointDiff: ({ lastOpId, writeCheckpoint, updated, removed }) =>
      line(
        `{"checkpoint_diff":{"last_op_id":"${lastOpId}",${writeCheckpointField(writeCheckpoint)}"removed_buckets":${JSON.stringify(removed)},"updated_buckets":[${updated.map(bucketEntry).join()}]}}\n`,
      ),

    data({ bucket, after, hasMore, nextAfter, count, operations }) {
      const encoded = line(
        `{"data":{"bucket":${JSON.stringify(bucket)},"after":"${after}","has_more":${hasMore},"data":[${renderOperations(operations, form)}],"next_after":"${nextAfter}"}}\n`,
      );
      return { ...encoded, operations: count };
    },

    checkpointComplete: (lastOpId) => line(`{"checkpoint_complete":{"last_op_id":"${lastOpId}"}}\n`),

    partialCheckpointComplete: (lastOpId, priority) =>
      line(`{"partial_checkpoint_complete":{"last_op_id":"${lastOpId}","priority":${priority}}}\n`),

    tokenExpiresIn: (seconds) => line(`{"token_expires_in":${seconds}}\n`),
  };
}

/** Row data as JSON strings: what every current client asks for. */
export const ndjsonEncoding = createNdjsonEncoding('ndjson', 'string');
/** Row data as nested objects, for clients that do not ask for `raw_data` (wire/03). */
export const ndjsonObjectsEncoding = createNdjsonEncoding('ndjson-objects', 'object');
