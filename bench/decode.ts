/**
 * Decoding speed on one core, from bytes captured from a real server: `COPY` rows and pgoutput changes per second, 10 columns, about 200
 * bytes a row. Prints one JSON line.
 *
 *     node bench/decode.ts [seconds per path]
 */
import type pg from 'pg';
import { postgres } from '#test/services/postgres.ts';
import { connectPrimary, endQuietly } from '#replicator/sources/postgres/connect.ts';
import { createCopyChannel, createFrameReader } from '#replicator/sources/postgres/copy-channel.ts';
import { readCopyLine } from '#replicator/sources/postgres/copy-text.ts';
import { createChangeReader } from '#replicator/sources/postgres/change-reader.ts';
import { createKnownTables } from '#replicator/sources/postgres/known-tables.ts';
import { createLayouts } from '#replicator/sources/postgres/layouts.ts';
import { positionZero } from '#replicator/sources/postgres/position.ts';
import { findTables } from '#replicator/sources/postgres/published-tables.ts';
import { buildRow, createRowBytes, retainedValues, rowKey } from '#replicator/sources/postgres/rows.ts';
import { readServerFacts } from '#replicator/sources/postgres/server.ts';
import { connectionOf, edition2, session } from '#replicator/sources/postgres/testing.ts';
import { createTypeCatalog } from '#replicator/sources/postgres/types/catalog.ts';

const seconds = Number(process.argv[2] ?? 3);
const rowCount = 50_000;
/** As sockets deliver them. */
const chunkBytes = 64 * 1024;

const server = await postgres();
await using database = await server.createDatabase();
await using app = await session(database.url);
await app.query(`
  CREATE TABLE measured (
    id uuid PRIMARY KEY, owner uuid, title text, note text, amount numeric, quantity int4, total int8, done bool,
    created_at timestamptz, payload jsonb
  );
  CREATE PUBLICATION powersync FOR ALL TABLES`);
await app.query(`SELECT pg_create_logical_replication_slot('bench', 'pgoutput')`);
await app.query(`
  INSERT INTO measured
  SELECT gen_random_uuid(), gen_random_uuid(), 'Title of row ' || n, 'note ' || md5(n::text), n / 7.0, n, n * 1000000007::int8, n % 2 = 0,
         now() - n * interval '1 second', jsonb_build_object('n', n, 'tag', 'x' || n)
    FROM generate_series(1, ${rowCount}) n`);

const connection = connectionOf(database.url);
const client = await connectPrimary(connection);
const facts = await readServerFacts(client);
const catalog = createTypeCatalog(
  async () => [],
  async () => facts.versionNumber,
);
const layouts = createLayouts({
  source: 'default',
  catalog,
  valueOptions: () => edition2,
  readColumns: () => null,
  blockBytes: () => 8_192,
});
const { tables } = await findTables(client, facts, 'default', () => true);
const layout = await layouts.of(tables[0]!.published, null);
const copied = await capture(client, 'COPY public.measured TO STDOUT', rowCount);
const walsender = await connectPrimary(connection, { replication: true });
const streamed = await capture(
  walsender,
  `START_REPLICATION SLOT bench LOGICAL 0/0 (proto_version '1', publication_names 'powersync')`,
  rowCount + 3,
);

/** So that no result is optimised away. */
let results = 0;
const copyRate = measure(copied, () => {
  const row = createRowBytes();
  return (bytes, start, end) => {
    readCopyLine(bytes, start, end, row);
    sink({
      key: rowKey(layout, row),
      row: buildRow(layout, row),
      retain: retainedValues(layout, row, false),
      bytes: end - start,
    });
  };
});
const streamRate = measure(streamed, () => {
  const reader = createChangeReader({
    layouts,
    known: createKnownTables([]),
    start: positionZero,
    isWanted: () => true,
    emit: sink,
    unusable: () => undefined,
    unfit: () => undefined,
  });
  return (bytes, start, end) => void (bytes[start] === 0x77 && reader.read(bytes, start + 25, end));
});
const rowBytes = Math.round(copied.reduce((sum, { length }) => sum + length, 0) / rowCount);
console.log(
  JSON.stringify({ bench: 'decode', columns: 10, rowBytes, copyRowsPerSecond: copyRate, changesPerSecond: streamRate }),
);
process.exit(results > 0 ? 0 : 1);

function sink(value: unknown): void {
  if (value !== undefined) results += 1;
}

/** The first `count` CopyData messages of a statement, each as a message of its own with header. */
async function capture(from: pg.Client, statement: string, count: number): Promise<Buffer[]> {
  const messages: Buffer[] = [];
  const channel = createCopyChannel(from);
  await new Promise<void>((resolve, reject) => {
    channel
      .run(statement, {
        data(bytes, start, end) {
          if (bytes[start] === 0x6b && end - start === 18) return;
          const message = Buffer.alloc(end - start + 5);
          message[0] = 0x64;
          message.writeUInt32BE(end - start + 4, 1);
          bytes.copy(message, 5, start, end);
          messages.push(message);
          if (messages.length === count) {
            channel.abandon();
            resolve();
          }
        },
      })
      .catch(reject);
  }).catch(() => undefined);
  endQuietly(from);
  return messages;
}

/** Messages per second through the frame reader and a decoder. */
function measure(
  messages: readonly Buffer[],
  decoder: () => (bytes: Buffer, start: number, end: number) => void,
): number {
  const all = Buffer.concat(messages);
  const round = (): void => {
    const reader = createFrameReader();
    const decode = decoder();
    for (let at = 0; at < all.length; at += chunkBytes) {
      reader.push(all.subarray(at, at + chunkBytes));
      for (let frame = reader.next(); frame !== null; frame = reader.next())
        decode(frame.bytes, frame.start, frame.end);
    }
  };
  round();
  // CPU time of this thread: what one core achieves, whatever else the machine is doing.
  let rounds = 0;
  const before = process.threadCpuUsage();
  const used = (): number => {
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1_000_000;
  };
  while (used() < seconds) {
    round();
    rounds += 1;
  }
  return Math.round((rounds * rowCount) / used());
}
