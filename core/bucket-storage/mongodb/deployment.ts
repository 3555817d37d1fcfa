/** What a deployment changes: which definitions are kept, which are new, which streams are needed. Pure. */
import { codedError } from '../../platform/errors/coded-error.ts';
import type { DefinitionSpec, DeployedDefinition, SyncConfigStore } from '../sync-config-store.ts';
import type { Instance, StreamDocument, StreamRecord, VersionDocument } from './documents.ts';

export type DeployOptions = Parameters<SyncConfigStore['deploy']>[0];

export interface CurrentVersions {
  readonly active: VersionDocument | null;
  readonly processing: VersionDocument | null;
  readonly errored: VersionDocument | null;
}

export interface Deployment {
  readonly kind: 'change';
  /** With new ids given out and new streams; nothing is ended or active yet. */
  readonly instance: Instance;
  readonly created: VersionDocument | null;
  /** The active version, if it stays active. */
  readonly active: VersionDocument | null;
  readonly stopped: readonly number[];
  /** The version to answer. */
  readonly result: number;
}

export function planDeployment(
  instance: Instance,
  current: CurrentVersions,
  options: DeployOptions,
  nowMs: number,
): Deployment | { readonly kind: 'unchanged'; readonly version: number } {
  const { active, processing, errored } = current;
  const { plan, force = [] } = options;
  const stopped = [processing, errored].flatMap((version) => (version === null ? [] : [version._id]));
  if (force.length === 0) {
    const newest = [active, processing, errored].reduce((a, b) => ((b?._id ?? 0) > (a?._id ?? 0) ? b : a), null);
    if (newest !== null && newest.plan === plan) return { kind: 'unchanged', version: newest._id };
    if (active !== null && active.plan === plan) {
      // Back to what is active: what came after it is not wanted any more.
      const cleared = { ...instance, processing: null, errored: null, ready: null };
      return { kind: 'change', instance: cleared, created: null, active, stopped, result: active._id };
    }
  }
  const created = createVersion(instance, active, options, nowMs);
  const { version } = created;
  const isActive = version.waiting.length === 0;
  const after: Instance = {
    ...created.instance,
    processing: isActive ? null : version._id,
    errored: null,
    ready: null,
  };
  return {
    kind: 'change',
    instance: after,
    created: version,
    active: isActive ? null : active,
    stopped,
    result: version._id,
  };
}

function createVersion(
  instance: Instance,
  active: VersionDocument | null,
  { content, plan, label, definitions: specs, sources, force = [] }: DeployOptions,
  nowMs: number,
): { version: VersionDocument; instance: Instance } {
  const next = { ...instance.next };
  const number = next.version++;
  const kept = new Map(active?.definitions.map((definition) => [keyOf(definition), definition]));
  const definitions = distinct(specs).map((spec): DeployedDefinition => {
    if (!sources.includes(spec.source)) {
      throw codedError(
        'PSYNC_S0001',
        `Definition ${spec.name} reads the source ${spec.source}, which the deployment does not name.`,
      );
    }
    const known = force.includes(spec.source) ? undefined : kept.get(keyOf(spec));
    const { kind, identity, name, source } = spec;
    return known ?? { kind, identity, name, source, id: next.definition++, since: number };
  });
  const streams: Record<string, StreamRecord> = { ...instance.streams };
  const listed: number[] = [];
  const waiting: number[] = [];
  for (const source of sources) {
    const fresh = definitions.filter((definition) => definition.source === source && definition.since === number);
    if (fresh.length > 0) {
      const id = next.stream++;
      streams[id] = newStream(
        source,
        number,
        fresh.map((definition) => definition.id),
      );
      listed.push(id);
      waiting.push(id);
    } else {
      listed.push(
        ...streamsOfKept(
          instance,
          active,
          definitions.filter((definition) => definition.source === source),
        ),
      );
    }
  }
  const version: VersionDocument = {
    _id: number,
    state: 'processing',
    content,
    plan,
    label: label ?? null,
    definitions,
    streams: listed,
    waiting,
    error: null,
    createdMs: nowMs,
    activatedMs: null,
    cleared: false,
  };
  return { version, instance: { ...instance, next, streams } };
}

const keyOf = ({ kind, source, identity }: DefinitionSpec): string => JSON.stringify([kind, source, identity]);

function distinct(specs: readonly DefinitionSpec[]): DefinitionSpec[] {
  const byKey = new Map<string, DefinitionSpec>();
  for (const spec of specs) if (!byKey.has(keyOf(spec))) byKey.set(keyOf(spec), spec);
  return [...byKey.values()];
}

/** Streams of the active version that write some of these definitions. */
function streamsOfKept(
  instance: Instance,
  active: VersionDocument | null,
  kept: readonly DeployedDefinition[],
): number[] {
  const ids = new Set(kept.map((definition) => definition.id));
  return (active?.streams ?? []).filter((id) =>
    instance.streams[id]?.definitions.some((definition) => ids.has(definition)),
  );
}

function newStream(source: string, version: number, definitions: readonly number[]): StreamRecord {
  return {
    source,
    version,
    serving: false,
    definitions,
    position: null,
    committedOp: 0,
    lastCommitMs: null,
    transaction: 1,
    dirty: false,
    openFrom: null,
    openTo: null,
    heldFrom: null,
    heldTo: null,
    hold: false,
    heldCommits: 0,
  };
}

export function newStreamDocuments(version: VersionDocument, instance: Instance): StreamDocument[] {
  return version.waiting.map((id) => ({
    _id: id,
    source: instance.streams[id]!.source,
    version: version._id,
    slot: '',
    progress: null,
    ended: false,
  }));
}
