/** Lines as JSON texts ended by a newline (S-518). */
import type { BucketEntry, EncodedLine, LineEncoding, StreamEntry } from '../lines.ts';
import { renderOperations, type DataForm } from './json-operations.ts';

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
      const head = Buffer.from(
        `{"data":{"bucket":${JSON.stringify(bucket)},"after":"${after}","has_more":${hasMore},"data":[`,
        'utf8',
      );
      const rendered = renderOperations(operations, form);
      const tail = Buffer.from(`],"next_after":"${nextAfter}"}}\n`, 'latin1');
      const bytes = head.length + rendered.length + tail.length;
      return { parts: [head, rendered, tail], bytes, operations: count };
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
