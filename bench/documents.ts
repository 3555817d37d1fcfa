/**
 * Documents of MongoDB to rows on one core, documents per second: our reader of BSON bytes, the same when half of the fields are read, and
 * what the `bson` library with a plain mapping gives. About 600 bytes a document, 12 fields, some nested. Prints one JSON line.
 *
 *     node bench/documents.ts [seconds per path]
 */
import { Decimal128, Double, Int32, Long, ObjectId, serialize, UUID } from 'bson';
import type { ValueOptions } from '#replicator/sources/contract.ts';
import { readPlainly } from '#replicator/sources/mongodb/plain-mapping.fixture.ts';
import { createDocumentReader } from '#replicator/sources/mongodb/values.ts';

const seconds = Number(process.argv[2] ?? 3);
const documentCount = 5_000;
const options: ValueOptions = { timestampsIso8601: true, timestampMaxPrecision: null, customPostgresTypes: true };

const documents = Array.from({ length: documentCount }, (_, index) =>
  Buffer.from(
    serialize({
      _id: new ObjectId(),
      owner: new UUID(),
      title: `Order number ${index} of this customer`,
      note: index % 10 === 0 ? `naïve “note” ${index}` : `note ${index}`,
      amount: Decimal128.fromString(`${index}.50`),
      quantity: new Int32(index % 100),
      total: Long.fromNumber(index * 1_000_007),
      ratio: new Double(index / 7),
      done: index % 2 === 0,
      createdAt: new Date(1_740_000_000_000 + index * 60_000),
      address: {
        street: `${index} Long "Street"`,
        city: 'Zürich',
        zip: new Int32(8_000 + (index % 50)),
        tags: ['home', 'work'],
      },
      lines: Array.from({ length: 4 }, (_, line) => ({
        sku: `sku-${index}-${line}`,
        count: new Int32(line),
        price: new Double(line + 0.5),
        at: new Date(1_740_000_000_000 + line),
      })),
    }),
  ),
);
const bytes = Math.round(documents.reduce((sum, { length }) => sum + length, 0) / documentCount);

/** So that no result is optimised away. */
let results = 0;
const reader = createDocumentReader(options);
const halfReader = createDocumentReader(
  options,
  (name) => !['lines', 'note', 'ratio', 'amount', 'owner', 'total'].includes(name),
);
const documentsPerSecond = measure((document) => reader.read(document));
const halfReadPerSecond = measure((document) => halfReader.read(document));
const libraryPerSecond = measure((document) => readPlainly(document, options));
console.log(JSON.stringify({ bench: 'documents', bytes, documentsPerSecond, halfReadPerSecond, libraryPerSecond }));
process.exit(results > 0 ? 0 : 1);

/** CPU time of this thread: what one core achieves, whatever else the machine is doing. */
function measure(read: (document: Buffer) => unknown): number {
  const round = (): void => {
    for (const document of documents) if (read(document) !== undefined) results += 1;
  };
  round();
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
  return Math.round((rounds * documentCount) / used());
}
