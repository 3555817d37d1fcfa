/**
 * Lines as BSON documents, one after the other (S-519, S chapter 15.4). What this client core asks for first (S-517), and the cheapest to
 * serve: the operations of a data line are the stored bytes, never looked at.
 */
import type { BucketEntry, EncodedLine, LineEncoding, StreamEntry } from '../lines.ts';
import { arrayKey, createBsonWriter } from './bson-writer.ts';

export const BSON_CONTENT_TYPE = 'application/vnd.powersync.bson-stream';

const writer = createBsonWriter();

function line(bytes: Buffer): EncodedLine {
  return { parts: [bytes], bytes: bytes.length, operations: 0 };
}

function writeCheckpointField(value: bigint | null): void {
  if (value !== null) writer.string('write_checkpoint', String(value));
}

function bucketEntry(key: string, entry: BucketEntry): void {
  writer.document(key);
  writer.string('bucket', entry.bucket);
  writer.double('checksum', entry.checksum);
  writer.integer('count', entry.count);
  writer.integer('priority', entry.priority);
  writer.array('subscriptions');
  let index = 0;
  for (const reason of entry.subscriptions) {
    writer.document(arrayKey(index++));
    if ('sub' in reason) writer.integer('sub', reason.sub);
    else writer.integer('default', reason.default);
    writer.end();
  }
  writer.end();
  writer.end();
}

function streamEntry(key: string, stream: StreamEntry): void {
  writer.document(key);
  writer.string('name', stream.name);
  writer.boolean('is_default', stream.isDefault);
  writer.array('errors');
  let index = 0;
  for (const error of stream.errors) {
    writer.document(arrayKey(index++));
    if (error.subscription === 'default') writer.string('subscription', 'default');
    else writer.integer('subscription', error.subscription);
    writer.string('message', error.message);
    writer.end();
  }
  writer.end();
  writer.end();
}

export const bsonEncoding: LineEncoding = {
  name: 'bson',
  contentType: BSON_CONTENT_TYPE,

  checkpoint({ lastOpId, writeCheckpoint, buckets, streams }) {
    writer.document('checkpoint');
    writer.string('last_op_id', String(lastOpId));
    writeCheckpointField(writeCheckpoint);
    writer.array('buckets');
    let index = 0;
    for (const entry of buckets) bucketEntry(arrayKey(index++), entry);
    writer.end();
    writer.array('streams');
    index = 0;
    for (const stream of streams) streamEntry(arrayKey(index++), stream);
    return line(writer.finish());
  },

  checkpointDiff({ lastOpId, writeCheckpoint, updated, removed }) {
    writer.document('checkpoint_diff');
    writer.string('last_op_id', String(lastOpId));
    writeCheckpointField(writeCheckpoint);
    writer.array('removed_buckets');
    let index = 0;
    for (const name of removed) writer.string(arrayKey(index++), name);
    writer.end();
    writer.array('updated_buckets');
    index = 0;
    for (const entry of updated) bucketEntry(arrayKey(index++), entry);
    return line(writer.finish());
  },

  data({ bucket, after, hasMore, nextAfter, count, operations }) {
    writer.document('data');
    writer.string('bucket', bucket);
    writer.string('after', String(after));
    writer.boolean('has_more', hasMore);
    writer.array('data');
    writer.account(operations.length);
    const split = writer.position;
    writer.end();
    writer.string('next_after', String(nextAfter));
    const frame = writer.finish();
    return {
      parts: [frame.subarray(0, split), operations, frame.subarray(split)],
      bytes: frame.length + operations.length,
      operations: count,
    };
  },

  checkpointComplete(lastOpId) {
    writer.document('checkpoint_complete');
    writer.string('last_op_id', String(lastOpId));
    return line(writer.finish());
  },

  partialCheckpointComplete(lastOpId, priority) {
    writer.document('partial_checkpoint_complete');
    writer.string('last_op_id', String(lastOpId));
    writer.integer('priority', priority);
    return line(writer.finish());
  },

  tokenExpiresIn(seconds) {
    writer.integer('token_expires_in', seconds);
    return line(writer.finish());
  },
};
