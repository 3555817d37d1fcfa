/** Pods, what they report, and looks at an instance, for tests of the pure parts. */
import type { PartStatus, SourcePartStatus, SyncConfigPartStatus } from '#core/platform/status/contract.ts';
import { syncConfigRevision } from '#core/platform/status/revision.ts';
import { compileSyncConfig } from '#core/sync-config/compile.ts';
import { definitionReads, readTable } from '#core/sync-config/plan-changes.ts';
import type { SyncPlan } from '#core/sync-config/plan.ts';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import { NO_MEMORY, type Observed, type ObservedPod } from '../observed.ts';
import { compileOptions } from '../policy/compile-options.ts';

/** Noon of some day. */
export const NOON = Date.parse('2026-11-21T12:00:00Z');

export const iso = (ms: number): string => new Date(ms).toISOString();

/** A ready API worker that has not been asked. */
export function playedPod(given: Partial<ObservedPod> = {}): ObservedPod {
  const name = given.name ?? 'demo-api-1';
  return {
    ...{ name, component: 'api', source: '', isReady: true, isTerminating: false, report: null, cpuShare: null },
    pod: { metadata: { name }, status: { phase: 'Running', podIP: '10.0.0.1' } },
    ...given,
  };
}

export function partStatus(given: Partial<PartStatus> = {}): PartStatus {
  const at = iso(NOON);
  return {
    ...{ format: 1, role: 'api', version: '0.1.0', instance: null, hostName: 'pod', startedAt: at, observedAt: at },
    ...{ ready: true, api: null, sources: [], syncConfig: null, cut: [] },
    storage: { reachable: true, error: null, observedAt: at },
    ...given,
  };
}

/** One source of a replicator that leads and keeps up. */
export function sourcePart(given: Partial<SourcePartStatus> = {}): SourcePartStatus {
  return {
    ...{ tag: 'default', leader: true, state: 'Streaming', lagBytes: 0, lagSeconds: 0, lastCommitAt: null },
    ...{ snapshot: null, log: null, error: null, findings: [] },
    ...given,
  };
}

/** A version in storage as the data plane reports it, of a valid text. */
export function versionOf(
  instance: SyncInstance,
  text: string,
  given: Partial<SyncConfigPartStatus> = {},
): SyncConfigPartStatus {
  const { plan } = compileSyncConfig(text, compileOptions(instance.spec.sources));
  if (plan === null) throw new Error('the sync config of the test does not compile');
  return versionOfPlan(plan, text, given);
}

/** The same, of the plan that `text` has. */
export function versionOfPlan(
  plan: SyncPlan,
  text: string,
  given: Partial<SyncConfigPartStatus> = {},
): SyncConfigPartStatus {
  return {
    ...{ version: 1, state: 'active', revision: syncConfigRevision(text), label: null, createdAt: iso(NOON) },
    ...{ activatedAt: null, error: null, streams: plan.streams.map(({ name }) => name) },
    tables: plan.tables.map((pattern) => ({ ...readTable(pattern), rows: 100 })),
    definitions: definitionReads(plan).map(({ kind, identity, name, source, streams }) => ({
      ...{ kind, identity, name, source, streams: [...streams], tables: [] },
    })),
    ...given,
  };
}

/** A look at an instance of which nothing is there yet but its Secrets. */
export function lookAt(instance: SyncInstance, given: Partial<Observed> = {}): Observed {
  return {
    ...{ now: NOON, instance, defaultImage: 'registry.example.com/millrace:1', operatorNamespace: null },
    ...{ values: new Map(), adminToken: { token: 'token', exists: true }, memory: NO_MEMORY },
    syncConfig: { text: instance.spec.syncConfig.inline ?? '' },
    ...{ owned: [], compactionJobs: [], pods: [] },
    ...given,
  };
}
