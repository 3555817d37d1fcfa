/** Removes data of definitions that nobody uses any more, in small steps with pauses (O-134, O-45). */
import type { Clock } from '../../platform/clock.ts';
import { type Actor, readInstance } from './changes.ts';
import type { Collections, Instance, VersionDocument } from './documents.ts';
import { definitionRange, prefixRange } from './ids.ts';
import { deleteSome } from './ranges.ts';
import { withMark } from './versions.ts';

const CHUNKS_PER_STEP = 500;
const SMALL_PER_STEP = 2000;
const BLOCKS_PER_STEP = 64;
/** Stopped versions that are kept for the record. */
const VERSIONS_KEPT = 50;

export interface Clearing {
  readonly collections: Collections;
  readonly actor: Actor;
  readonly clock: Clock;
  /** Pause after a step, as a share of its duration (O-45). */
  readonly throttle: number;
}

/** See `BucketStorage.clearStopped`. */
export async function clearStopped(clearing: Clearing, budgetMs: number): Promise<boolean> {
  const { clock, throttle } = clearing;
  let started = clock.monotonic();
  const giveUpAt = started + budgetMs;
  const steps = allSteps(clearing);
  while ((await steps.next()).done !== true) {
    const now = clock.monotonic();
    if (now >= giveUpAt) return true;
    const pauseMs = (now - started) * throttle;
    if (pauseMs >= 1) await clock.sleep(pauseMs);
    started = clock.monotonic();
  }
  return false;
}

/** Each value is a step that removed something. */
async function* allSteps({ collections, actor }: Clearing): AsyncGenerator<void> {
  const instance = await readInstance(collections);
  const used = await usedVersions(collections, instance);
  yield* unusedDefinitions(collections, instance, used);
  yield* unusedRowStates(collections, used);
  yield* leftoversOfStreams(collections, instance);
  if (instance.unserved.length > 0) {
    yield* customNumbersOf(collections, actor, instance.unserved);
  }
  yield* oldVersions(collections);
}

function usedVersions({ versions }: Collections, { active, processing }: Instance): Promise<VersionDocument[]> {
  return versions.find({ _id: { $in: [active, processing].filter((id) => id !== null) } }).toArray();
}

/** What has ended writes nothing any more, so what is removed does not come back. */
async function* unusedDefinitions(
  { definitions, chunks, lookups, compacted }: Collections,
  { next }: Instance,
  used: readonly VersionDocument[],
): AsyncGenerator<void> {
  const ids = used.flatMap((version) => version.definitions.map((definition) => definition.id));
  // Those of a deployment after `used` was read have greater ids than any known then.
  for await (const { _id, kind } of definitions.find({ _id: { $nin: ids, $lt: next.definition } })) {
    const range = definitionRange(_id);
    const some = () =>
      kind === 'bucket' ? deleteSome(chunks, range, CHUNKS_PER_STEP) : deleteSome(lookups, range, SMALL_PER_STEP);
    while ((await some()) > 0) yield;
    while ((await deleteSome(compacted, range, SMALL_PER_STEP)) > 0) yield;
    await definitions.deleteOne({ _id });
    yield;
  }
}

/** Row states belong to the version that created their definitions. */
async function* unusedRowStates(
  { versions, rowStates, rowStateBlocks }: Collections,
  used: readonly VersionDocument[],
): AsyncGenerator<void> {
  const groups = new Set(used.flatMap((version) => version.definitions.map((definition) => definition.since)));
  const ended = await versions
    .find({ state: { $in: ['stopped', 'errored'] }, cleared: false }, { projection: { _id: 1 } })
    .toArray();
  for (const { _id: version } of ended) {
    if (groups.has(version)) continue;
    const range = prefixRange(`${version}/`);
    while ((await deleteSome(rowStateBlocks, range, BLOCKS_PER_STEP)) > 0) yield;
    while ((await deleteSome(rowStates, range, SMALL_PER_STEP)) > 0) yield;
    await versions.updateOne({ _id: version }, { $set: { cleared: true } });
    yield;
  }
}

/** Unfinished transactions of streams that ended. */
async function* leftoversOfStreams({ undo, staged }: Collections, { streams, next }: Instance): AsyncGenerator<void> {
  const ended = { s: { $nin: Object.keys(streams).map(Number), $lt: next.stream } };
  const [first, second] = [await undo.deleteMany(ended), await staged.deleteMany(ended)];
  if (first.deletedCount + second.deletedCount > 0) yield;
}

async function* customNumbersOf(
  { writeCheckpoints }: Collections,
  actor: Actor,
  unserved: readonly number[],
): AsyncGenerator<void> {
  for (const stream of unserved) {
    const field = `k.${stream}`;
    await writeCheckpoints.updateMany({ [field]: { $exists: true } }, { $unset: { [field]: true } });
  }
  await actor.change<void>((instance, mark) => ({
    instance: withMark(
      { ...instance, unserved: instance.unserved.filter((stream) => !unserved.includes(stream)) },
      mark,
    ),
    work: () => Promise.resolve(),
  }));
  yield;
}

async function* oldVersions({ versions }: Collections): AsyncGenerator<void> {
  const cleared = { state: 'stopped', cleared: true } as const;
  const [oldest] = await versions
    .find(cleared, { sort: { _id: -1 }, skip: VERSIONS_KEPT, limit: 1, projection: { _id: 1 } })
    .toArray();
  if (oldest === undefined) return;
  await versions.deleteMany({ ...cleared, _id: { $lte: oldest._id } });
  yield;
}
