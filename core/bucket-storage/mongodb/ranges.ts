/** Walking and deleting ranges of clustered collections in bounded steps, without cursors that could expire. */
import type { Collection, Filter } from 'mongodb';
import type { IdRange } from './ids.ts';

interface Identified {
  _id: string;
}

/** Documents of the range in order, `pageSize` per read. `check` runs before each page. */
export async function* documentsIn<D extends Identified>(
  collection: Collection<D>,
  range: IdRange,
  pageSize: number,
  check: () => Promise<void>,
): AsyncGenerator<D> {
  let { after } = range;
  for (;;) {
    await check();
    const filter = { _id: { $gt: after, $lt: range.before } } as Filter<D>;
    let count = 0;
    // Not as an array: documents may be large, and the server sends 16 MB at a time.
    for await (const document of collection.find(filter, { sort: { _id: 1 }, limit: pageSize, batchSize: pageSize })) {
      count++;
      after = document._id;
      yield document as D;
    }
    if (count < pageSize) return;
  }
}

/** Deletes up to about `limit` documents of the range, the first ones; answers how many. 0: nothing was left. */
export async function deleteSome<D extends Identified>(
  collection: Collection<D>,
  range: IdRange,
  limit: number,
): Promise<number> {
  const inRange = { _id: { $gt: range.after, $lt: range.before } } as Filter<D>;
  const [bound] = (await collection
    .find(inRange, { sort: { _id: 1 }, skip: limit - 1, limit: 1, projection: { _id: 1 } })
    .toArray()) as Identified[];
  const filter = bound === undefined ? inRange : ({ _id: { $gt: range.after, $lte: bound._id } } as Filter<D>);
  return (await collection.deleteMany(filter)).deletedCount;
}
