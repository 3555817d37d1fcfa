/** A version becomes active: it is served, the one before it stops, and streams that nobody needs any more end. */
import type { ClientSession } from 'mongodb';
import { codedError } from '../../platform/errors/coded-error.ts';
import type { Collections, Instance, StreamRecord, VersionDocument } from './documents.ts';
import type { Publication } from './visibility.ts';

/** Makes the version active that a publication activates, if it does. */
export async function withActivation<P extends Publication>(collections: Collections, publication: P): Promise<P> {
  if (publication.activated === null) return publication;
  const next = await versionDocument(collections, publication.activated);
  return { ...publication, instance: withActive(publication.instance, next, null) };
}

/** The documents that go with it. */
export async function recordActivation(
  collections: Collections,
  before: Instance,
  { instance, activated }: Publication,
  nowMs: number,
  session: ClientSession,
): Promise<void> {
  if (activated === null) return;
  await recordActive(collections, before, instance, nowMs, session);
  await recordEndedStreams(collections, before, instance, session);
}

/** The document of a version that the instance names. */
export async function versionDocument({ versions }: Collections, version: number): Promise<VersionDocument> {
  const document = await versions.findOne({ _id: version });
  if (document === null) throw codedError('PSYNC_S0001', `Version ${version} is missing in bucket storage.`);
  return document;
}

/** The instance when `next` is served. `processing`: the version that is being processed beside it. */
export function withActive(instance: Instance, next: VersionDocument, processing: VersionDocument | null): Instance {
  const sources = [
    ...new Set(next.streams.map((id) => instance.streams[id]?.source).filter((tag) => tag !== undefined)),
  ];
  const former = [...instance.formerSources, ...instance.activeSources].filter((tag) => !sources.includes(tag));
  const active: Instance = {
    ...instance,
    active: next._id,
    processing: instance.processing === next._id ? null : instance.processing,
    ready: instance.ready?.version === next._id ? null : instance.ready,
    revision: instance.revision + 1,
    activeSources: sources,
    formerSources: [...new Set(former)],
  };
  return withoutUnusedStreams(active, processing === null ? [next] : [next, processing]);
}

/** Ends streams that none of the versions lists; the others write only definitions that one of the versions has. */
export function withoutUnusedStreams(instance: Instance, versions: readonly VersionDocument[]): Instance {
  const used = new Set(versions.flatMap((version) => version.streams));
  const definitions = new Set(versions.flatMap((version) => version.definitions.map((definition) => definition.id)));
  const streams: Record<string, StreamRecord> = {};
  const unserved: number[] = [];
  for (const [id, stream] of Object.entries(instance.streams)) {
    if (!used.has(Number(id))) {
      if (!stream.serving) unserved.push(Number(id));
      continue;
    }
    const kept = stream.definitions.filter((definition) => definitions.has(definition));
    streams[id] = kept.length === stream.definitions.length ? stream : { ...stream, definitions: kept };
  }
  return {
    ...instance,
    streams,
    unserved: unserved.length === 0 ? instance.unserved : [...instance.unserved, ...unserved],
  };
}

/** Writes down how streams stood that are in `before` and not in `after`. */
export async function recordEndedStreams(
  { streams }: Collections,
  before: Instance,
  after: Instance,
  session: ClientSession,
): Promise<void> {
  for (const [id, stream] of Object.entries(before.streams)) {
    if (id in after.streams) continue;
    const { position, committedOp, lastCommitMs, definitions } = stream;
    const last = { position, committedOp, lastCommitMs, definitions: [...definitions] };
    await streams.updateOne({ _id: Number(id) }, { $set: { ended: true, last } }, { session });
  }
}

/** States of the versions, after the instance says so. */
export async function recordActive(
  { versions }: Collections,
  before: Instance,
  after: Instance,
  nowMs: number,
  session: ClientSession,
): Promise<void> {
  if (before.active !== null)
    await versions.updateOne({ _id: before.active }, { $set: { state: 'stopped' } }, { session });
  await versions.updateOne(
    { _id: after.active! },
    { $set: { state: 'active', activatedMs: nowMs, waiting: [] } },
    { session },
  );
}
