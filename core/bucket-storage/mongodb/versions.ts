/** Deployed versions of the sync config. See sync-config-store.ts. */
import type { ClientSession } from 'mongodb';
import type { Clock } from '../../platform/clock.ts';
import type { ReplicationStream } from '../contract.ts';
import type { DeployedVersion, SyncConfigStore } from '../sync-config-store.ts';
import { recordActive, recordEndedStreams, versionDocument, withActive, withoutUnusedStreams } from './activation.ts';
import { type Actor, type Change, type NoChange, readInstance } from './changes.ts';
import { type Deployment, type DeployOptions, newStreamDocuments, planDeployment } from './deployment.ts';
import type { Collections, Instance, StreamDocument, VersionDocument } from './documents.ts';
import { coded } from './failure.ts';
import { announce } from './publication.ts';
import { close, publish } from './visibility.ts';

/** `actor`: makes changes that no writer makes. */
export function createSyncConfigStore(collections: Collections, actor: Actor, clock: Clock): SyncConfigStore {
  const { versions, streams } = collections;

  const deployedVersion = async (version: number | null): Promise<DeployedVersion | null> => {
    if (version === null) return null;
    const [instance, document] = [await readInstance(collections), await versions.findOne({ _id: version })];
    return document === null ? null : describeVersion(collections, instance, document);
  };

  const deploy: SyncConfigStore['deploy'] = async (options) => {
    const version = await actor.change<number>(async (instance, mark) => {
      const current = await currentVersions(collections, instance);
      const deployment = planDeployment(instance, current, options, clock.now());
      if (deployment.kind === 'change')
        return deploymentChange(collections, instance, deployment, options, mark, clock.now());
      const { version } = deployment;
      const known = Object.values(current).find((document) => document?._id === version);
      if (known && isSaidAlike(known, options)) return { unchanged: version };
      return {
        instance: withMark({ ...instance, revision: instance.revision + 1 }, mark),
        work: async (session) => {
          await replaceText(collections, version, options, session);
          return version;
        },
      };
    });
    return (await deployedVersion(version))!;
  };

  const fail: SyncConfigStore['fail'] = (version, error) =>
    actor.change<void>(async (instance, mark) => {
      if (instance.active === version) return errorOfActive(collections, instance, version, error, mark);
      if (instance.processing !== version) return { unchanged: undefined };
      const active = instance.active === null ? [] : [await versionDocument(collections, instance.active)];
      const failed = { ...instance, processing: null, errored: version, ready: null, revision: instance.revision + 1 };
      const after = withMark(withoutUnusedStreams(failed, active), mark);
      return {
        instance: after,
        work: async (session) => {
          if (instance.errored !== null) await setState(collections, instance.errored, 'stopped', session);
          await versions.updateOne({ _id: version }, { $set: { state: 'errored', error } }, { session });
          await recordEndedStreams(collections, instance, after, session);
        },
      };
    });

  const live: SyncConfigStore['live'] = async () => {
    const instance = await readInstance(collections);
    const ids = [instance.active, instance.processing, instance.errored].filter((id) => id !== null);
    const documents = await versions.find({ _id: { $in: ids } }, { sort: { _id: 1 } }).toArray();
    return Promise.all(documents.map((document) => describeVersion(collections, instance, document)));
  };

  const abandonedStreams: SyncConfigStore['abandonedStreams'] = async (source) => {
    const documents = await streams.find({ source, ended: true }, { sort: { _id: 1 } }).toArray();
    return documents.map((document) => endedStream(document));
  };

  const forgetStream: SyncConfigStore['forgetStream'] = (stream) =>
    actor.change<void>(async (instance, mark) => {
      const document = await streams.findOne({ _id: stream, ended: true });
      if (document === null) return { unchanged: undefined };
      return {
        instance: withMark({ ...instance, revision: instance.revision + 1 }, mark),
        work: async (session) => void (await streams.deleteOne({ _id: stream, ended: true }, { session })),
      };
    });

  return {
    deploy: (options) => coded(() => deploy(options)),
    active: () => coded(async () => deployedVersion((await readInstance(collections)).active)),
    processing: () => coded(async () => deployedVersion((await readInstance(collections)).processing)),
    live: () => coded(live),
    get: (version) => coded(() => deployedVersion(version)),
    revision: () => coded(async () => (await readInstance(collections)).revision),
    fail: (version, error) => coded(() => fail(version, error)),
    abandonedStreams: (source) => coded(() => abandonedStreams(source)),
    forgetStream: (stream) => coded(() => forgetStream(stream)),
  };
}

const MARKS = 20;
/** Marks of changes that are not of a writer. */
export const withMark = (instance: Instance, mark: string): Instance => ({
  ...instance,
  marks: [...instance.marks, mark].slice(-MARKS),
});

const setState = (
  { versions }: Collections,
  version: number,
  state: VersionDocument['state'],
  session: ClientSession,
) => versions.updateOne({ _id: version }, { $set: { state } }, { session });

/** Other words for the same plan: only text and label change. */
type Wording = Pick<DeployOptions, 'content' | 'label'>;
const isSaidAlike = (document: VersionDocument, { content, label }: Wording): boolean =>
  document.content === content && (label === undefined || document.label === label);

async function replaceText(
  { versions }: Collections,
  version: number,
  { content, label }: Wording,
  session: ClientSession,
): Promise<void> {
  const $set = { content, ...(label === undefined ? {} : { label }) };
  await versions.updateOne({ _id: version }, { $set }, { session });
}

async function currentVersions(collections: Collections, { active, processing, errored }: Instance) {
  const read = (version: number | null) => (version === null ? null : versionDocument(collections, version));
  return { active: await read(active), processing: await read(processing), errored: await read(errored) };
}

function deploymentChange(
  collections: Collections,
  before: Instance,
  { stopped, created, active, instance: planned, result }: Deployment,
  wording: Wording,
  mark: string,
  nowMs: number,
): Change<number> {
  const lives = [active, created].filter((version) => version !== null);
  const reached =
    created !== null && created.waiting.length === 0
      ? withActive(planned, created, null)
      : withoutUnusedStreams(planned, lives);
  const isActivated = reached.active !== before.active;
  // The change of version is a commit of its own: workers hear of it as soon as nothing is in the way.
  const op = before.sequence + 1;
  const publication = isActivated
    ? publish(close({ ...reached, sequence: op }, { first: op, last: op, listed: false }))
    : { instance: { ...reached, revision: before.revision + 1 }, published: [], activated: null };
  // Definitions that nobody uses any more are removed from the collections, and must not come there afterwards.
  const after = withMark({ ...publication.instance, recent: isActivated ? [] : before.recent }, mark);
  return {
    instance: after,
    work: async (session) => {
      for (const version of stopped) await setState(collections, version, 'stopped', session);
      if (created === null) await replaceText(collections, result, wording, session);
      else {
        const { definitions, versions, streams } = collections;
        const fresh = created.definitions.filter((definition) => definition.since === created._id);
        await versions.insertOne(created, { session });
        if (fresh.length > 0)
          await definitions.insertMany(
            fresh.map(({ id, ...rest }) => ({ _id: id, ...rest })),
            { session },
          );
        const made = newStreamDocuments(created, after);
        if (made.length > 0) await streams.insertMany(made, { session });
      }
      await recordEndedStreams(collections, before, after, session);
      if (isActivated) await recordActive(collections, before, after, nowMs, session);
      await announce(collections, { ...publication, instance: after }, before, null, nowMs, session);
      return result;
    },
  };
}

function errorOfActive(
  { versions }: Collections,
  instance: Instance,
  version: number,
  error: string,
  mark: string,
): Change<void> | NoChange<void> {
  return {
    instance: withMark({ ...instance, revision: instance.revision + 1 }, mark),
    work: async (session) => void (await versions.updateOne({ _id: version }, { $set: { error } }, { session })),
  };
}

async function describeVersion(
  collections: Collections,
  instance: Instance,
  document: VersionDocument,
): Promise<DeployedVersion> {
  const { _id: version, state, content, plan, label, definitions, error, createdMs, activatedMs } = document;
  const streams = await describeStreams(collections, instance, document.streams);
  return { version, state, content, plan, label, definitions, streams, error, createdMs, activatedMs };
}

/** Streams as the instance and their own documents describe them, by id. Those that were forgotten are missing. */
export async function describeStreams(
  { streams }: Collections,
  instance: Instance,
  ids: readonly number[],
): Promise<ReplicationStream[]> {
  const documents = await streams.find({ _id: { $in: [...ids] } }, { sort: { _id: 1 } }).toArray();
  return documents.map((document) => {
    const record = instance.streams[document._id];
    if (record === undefined) return endedStream(document);
    const { source, version, position, definitions, committedOp, lastCommitMs } = record;
    const { slot, progress } = document;
    return { id: document._id, source, version, slot, position, progress, definitions, committedOp, lastCommitMs };
  });
}

function endedStream({ _id: id, source, version, slot, progress, last }: StreamDocument): ReplicationStream {
  const none = { position: null, committedOp: 0, lastCommitMs: null, definitions: [] };
  return { id, source, version, slot, progress, ...(last ?? none) };
}
