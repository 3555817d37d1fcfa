/** A new version's stream takes over the definitions that its version keeps; with the last one the version becomes active. */
import { codedError } from '../../platform/errors/coded-error.ts';
import type { SourceWriter } from '../contract.ts';
import { recordActivation, versionDocument, withActivation } from './activation.ts';
import type { Change, NoChange } from './changes.ts';
import type { Collections, Instance, StreamRecord, VersionDocument } from './documents.ts';
import { streamEnded } from './commit-plan.ts';
import { announce } from './publication.ts';
import { close, publish, withStream } from './visibility.ts';

type Options = Parameters<SourceWriter['switchOver']>[0];
type Result = Awaited<ReturnType<SourceWriter['switchOver']>>;

/** Decides on a copy of the instance whose epoch was checked. `seal` puts the writer's mark on it. */
export async function planSwitchOver(
  collections: Collections,
  before: Instance,
  source: string,
  options: Options,
  nowMs: number,
  seal: (instance: Instance) => Instance,
): Promise<Change<Result> | NoChange<Result>> {
  const version = await versionDocument(collections, options.version);
  const isListed = version.streams.includes(options.to);
  if (before.active === version._id && isListed) return { unchanged: { active: true, notice: null } };
  if (before.processing !== version._id || !isListed) throw streamEnded(options.to);
  if (!version.waiting.includes(options.to)) return { unchanged: { active: false, notice: null } };

  const waiting = version.waiting.filter((id) => id !== options.to);
  const adopted = adopt(before, source, version, options);
  const isLast = waiting.length === 0;
  const publication = await withActivation(
    collections,
    isLast ? publish(ready(adopted, version._id)) : unpublished(adopted),
  );
  const active = before.active === null ? null : await versionDocument(collections, before.active);
  const instance = seal(
    publication.activated === null ? { ...publication.instance, revision: before.revision + 1 } : publication.instance,
  );
  return {
    instance,
    work: async (session) => {
      await collections.versions.updateOne({ _id: version._id }, { $set: { waiting } }, { session });
      if (active !== null && publication.activated === null) {
        // It feeds the active version from now on, also if the new one never becomes active.
        await collections.versions.updateOne({ _id: active._id }, { $addToSet: { streams: options.to } }, { session });
      }
      const result = { ...publication, instance };
      const notice = await announce(collections, result, before, null, nowMs, session);
      await recordActivation(collections, before, result, nowMs, session);
      return { active: publication.activated === version._id, notice };
    },
  };
}

const unpublished = (instance: Instance) => ({ instance, published: [], activated: null });

/** The change of version is a commit of its own, visible when nothing is in the way. */
function ready(instance: Instance, version: number): Instance {
  const op = instance.sequence + 1;
  return close({ ...instance, sequence: op, ready: { version, op } }, { first: op, last: op, listed: false });
}

function adopt(before: Instance, source: string, version: VersionDocument, { from, to }: Options): Instance {
  const next = before.streams[to];
  if (next === undefined || next.source !== source) throw streamEnded(to);
  const own = new Set(next.definitions);
  const kept = new Set(
    version.definitions.flatMap(({ id, source: tag }) => (tag === source && !own.has(id) ? [id] : [])),
  );
  const former = formerWriters(before, source, to, from, kept);
  if (from === null && former.length > 0) {
    throw refused(version._id, `it keeps definitions of ${source}, so the stream that writes them must be named`);
  }
  checkAligned(
    version._id,
    next,
    former.map(([, stream]) => stream),
  );
  let instance = withStream(before, to, { serving: true, definitions: [...next.definitions, ...kept] });
  for (const [id, stream] of former) {
    instance = withStream(instance, id, {
      definitions: stream.definitions.filter((definition) => !kept.has(definition)),
    });
  }
  return instance;
}

/** `from`, and whatever else of this source writes kept definitions. */
function formerWriters(
  { streams }: Instance,
  source: string,
  to: number,
  from: number | null,
  kept: ReadonlySet<number>,
): [number, StreamRecord][] {
  const others = Object.entries(streams).map(([id, stream]): [number, StreamRecord] => [Number(id), stream]);
  return others.filter(
    ([id, stream]) =>
      id !== to &&
      stream.source === source &&
      (id === from || stream.definitions.some((definition) => kept.has(definition))),
  );
}

function checkAligned(version: number, next: StreamRecord, former: readonly StreamRecord[]): void {
  if (next.openFrom !== null || next.dirty) throw refused(version, 'its stream has unpublished operations');
  for (const stream of former) {
    if (stream.openFrom !== null || stream.dirty)
      throw refused(version, 'the former stream has unpublished operations');
    if (stream.position !== next.position)
      throw refused(version, 'its stream and the former one stand at different positions');
  }
}

function refused(version: number, reason: string): Error {
  return codedError('PSYNC_S0001', `Version ${version} cannot take over: ${reason}. Nothing was changed.`);
}
