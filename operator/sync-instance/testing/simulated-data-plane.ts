/** What pods of an instance do and say: versions of the sync config, and how far the sources are. Part of simulated-cluster.ts. */
import type { PartStatus, SourcePartStatus, SyncConfigPartStatus } from '#core/platform/status/contract.ts';
import { syncConfigRevision } from '#core/platform/status/revision.ts';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import type { Decision } from '../decision.ts';
import { names } from '../desired/names.ts';
import { iso, partStatus, sourcePart, versionOf } from './played-pods.ts';
import type { Happening, SimulatedPod, SimulatedPods } from './simulated-pods.ts';

export interface DataPlaneOptions {
  readonly pods: SimulatedPods;
  /** Clients of all API workers together. */
  readonly clients: number;
  /** So many deployments of a sync config are refused before one is accepted. */
  readonly refusals: number;
  /** Never gives the same twice. */
  readonly nextNumber: () => number;
}

export interface SimulatedDataPlane {
  /** What a pod says of itself. */
  statusOf(pod: SimulatedPod, now: number): PartStatus;
  /** Gives a sync config to an API worker; false: refused. */
  deploy(instance: SyncInstance, deployment: NonNullable<Decision['deploy']>): boolean;
  /** A version becomes active when all sources have copied; a source goes on when a pod of it answers. */
  copy(instance: SyncInstance): readonly Happening[];
}

/** The states of a source on the way; storage knows how far it is. */
const WAY: readonly SourcePartStatus['state'][] = ['Pending', 'Copying', 'CatchingUp', 'Streaming'];
/** The step at which a first copy is done. */
const COPIED = 2;

export function simulateDataPlane(options: DataPlaneOptions): SimulatedDataPlane {
  const { pods, clients, nextNumber } = options;
  let { refusals } = options;
  /** Newest first. */
  let versions: SyncConfigPartStatus[] = [];
  /** Index into `WAY` by source. */
  const progress = new Map<string, number>();
  const stepOf = (source: string): number => progress.get(source) ?? 0;

  return {
    statusOf({ name, owner, component, source }, now) {
      const answering = pods.of(owner).filter(({ answers }) => answers);
      const at = { observedAt: iso(now) };
      const common = { ...at, syncConfig: versions, storage: { reachable: true, error: null, ...at } };
      if (component === 'api') {
        const connections = clients / Math.max(1, answering.length);
        return partStatus({ ...common, api: { connections, connectionLimit: 10_000, draining: false } });
      }
      const leader = answering[0]?.name === name;
      const sources = [sourcePart({ tag: source, leader, state: WAY[stepOf(source)]! })];
      return partStatus({ ...common, role: 'sync', sources });
    },
    deploy(instance, { text, revision }) {
      if (refusals-- > 0) return false;
      if (syncConfigRevision(text) !== revision) throw new Error('the revision is that of another text');
      const version = versionOf(instance, text, { version: nextNumber(), state: 'processing' });
      versions = [version, ...versions.filter(({ state }) => state === 'active')];
      return true;
    },
    copy({ metadata, spec }) {
      const sources = spec.sources.map(({ name }) => name);
      const [newest] = versions;
      const isCopying = newest?.state === 'processing';
      const last = newest === undefined ? 0 : isCopying ? COPIED : WAY.length - 1;
      const steps = sources
        .filter((name) => pods.of(names.replicator(metadata.name, name)).some(({ answers }) => answers))
        .filter((name) => stepOf(name) < last)
        .map(
          (name): Happening =>
            () =>
              void progress.set(name, stepOf(name) + 1),
        );
      if (!isCopying || !sources.every((name) => stepOf(name) >= COPIED)) return steps;
      return [...steps, () => void (versions = [{ ...newest, state: 'active' }])];
    },
  };
}
