/** The status of an instance, from the facts; and when it is worth writing. */
import type { SourceStatus, SyncConfigStatus } from '#crds/sync-instance/status.ts';
import type { SyncInstance, SyncInstanceStatus } from '#crds/sync-instance/sync-instance.ts';
import { CRON_JOBS } from '../kube/resource-types.ts';
import { secondsOf } from './conditions.ts';
import { selectorOf, selectorText } from './desired/labels.ts';
import { names } from './desired/names.ts';
import { trueCondition } from './live-objects.ts';
import type { LiveCronJob, LiveDeployment, Observed } from './observed.ts';
import type { LogFact } from './policy/source-log.ts';
import { roundedHours } from './policy/source-log.ts';
import type { SourceFact } from './policy/sources.ts';
import { imageOf } from './workloads.ts';

/** Figures alone (lag, rows, clients) are written so often at most. */
const FIGURES_MS = 15_000;

export interface StatusInput {
  readonly observed: Observed;
  readonly conditions: NonNullable<SyncInstanceStatus['conditions']>;
  readonly sources: readonly SourceFact[];
  readonly logs: readonly LogFact[];
  readonly syncConfig: SyncConfigStatus;
  readonly apiDeployment: LiveDeployment | null;
  readonly desiredReplicas: number;
  /** Image whose migration has succeeded; null: none has been seen to. */
  readonly migratedImage: string | null;
}

/** The status as it is now, without regard to what was written before. */
export function statusOf(input: StatusInput): SyncInstanceStatus {
  const { observed, conditions, logs, apiDeployment, desiredReplicas } = input;
  const { instance, pods, now } = observed;
  const workers = pods.filter(({ component }) => component === 'api');
  const sources = input.sources.map((fact) => sourceStatus(fact, logs, now));
  const lags = sources.flatMap(({ lagSeconds }) => lagSeconds ?? []);
  const image = imageOf(apiDeployment);
  const version = workers.find(({ isReady, report }) => isReady && report?.status !== undefined)?.report?.status
    ?.version;
  const migratedImage = input.migratedImage ?? instance.status?.storage?.migratedImage;
  return {
    observedGeneration: instance.metadata.generation,
    conditions,
    ...(image === undefined ? {} : { image }),
    ...(version === undefined ? {} : { version }),
    sources,
    sourcesReady: `${sources.filter(({ state }) => state === 'Streaming').length}/${sources.length}`,
    ...(lags.length === 0 ? {} : { lagSeconds: Math.max(...lags) }),
    syncConfig: input.syncConfig,
    api: {
      replicas: apiDeployment?.status?.replicas ?? 0,
      readyReplicas: apiDeployment?.status?.readyReplicas ?? 0,
      desiredReplicas,
      connections: workers.reduce((sum, { report }) => sum + (report?.status?.api?.connections ?? 0), 0),
      selector: selectorText(selectorOf(instance.metadata.name, 'api')),
    },
    ...(migratedImage === undefined ? {} : { storage: { migratedImage } }),
    ...compactionStatus(observed),
    endpoints: endpointsOf(instance),
  };
}

function sourceStatus(fact: SourceFact, logs: readonly LogFact[], now: number): SourceStatus {
  const { name, state, leader, readyReplicas, report } = fact;
  const log = logs.find(({ source }) => source === name);
  return {
    name,
    state,
    readyReplicas,
    ...(leader === null ? {} : { leader }),
    ...given('lagBytes', report?.lagBytes),
    ...given('lagSeconds', report?.lagSeconds == null ? null : Math.round(report.lagSeconds)),
    ...(report?.snapshot == null ? {} : { snapshot: snapshotStatus(report.snapshot) }),
    ...(log === undefined
      ? {}
      : {
          log: {
            ...given('retainedBytes', log.retainedBytes),
            ...given('limitBytes', log.limitBytes),
            ...given('hoursUntilLoss', log.hoursUntilLoss === null ? null : roundedHours(log.hoursUntilLoss)),
          },
        }),
    ...(report?.error == null ? {} : { error: { code: report.error.code, message: report.error.message } }),
    ...(report === null ? {} : { observedAt: secondsOf(now) }),
  };
}

function snapshotStatus(
  snapshot: NonNullable<NonNullable<SourceFact['report']>['snapshot']>,
): NonNullable<SourceStatus['snapshot']> {
  const { rowsCopied, rowsEstimated, secondsRemaining } = snapshot;
  return {
    rowsCopied,
    rowsEstimated,
    ...(rowsEstimated === 0 ? {} : { percent: Math.min(100, Math.floor((rowsCopied / rowsEstimated) * 100)) }),
    ...given('secondsRemaining', secondsRemaining === null ? null : Math.round(secondsRemaining)),
  };
}

function given<K extends string>(key: K, value: number | null | undefined): { readonly [P in K]?: number } {
  return (value == null ? {} : { [key]: value }) as { readonly [P in K]?: number };
}

function compactionStatus({ owned, compactionJobs }: Observed): Pick<SyncInstanceStatus, 'compaction'> {
  const cronJob: LiveCronJob | undefined = owned.find(({ type }) => type === CRON_JOBS)?.object;
  const lastSuccessTime = cronJob?.status?.lastSuccessfulTime;
  const failures = compactionJobs.flatMap(
    ({ status }) => trueCondition(status?.conditions, 'Failed')?.lastTransitionTime ?? [],
  );
  const lastFailureTime = failures.toSorted().at(-1);
  if (lastSuccessTime === undefined && lastFailureTime === undefined) return {};
  return {
    compaction: {
      ...(lastSuccessTime === undefined ? {} : { lastSuccessTime }),
      ...(lastFailureTime === undefined ? {} : { lastFailureTime }),
    },
  };
}

function endpointsOf({ metadata, spec }: SyncInstance): NonNullable<SyncInstanceStatus['endpoints']> {
  const { port } = spec.api.service;
  const service = `http://${names.api(metadata.name)}.${metadata.namespace}.svc${port === 80 ? '' : `:${port}`}`;
  const external = externalOf(spec.api);
  return { service, ...(external === null ? {} : { external }) };
}

function externalOf({ ingress, httpRoute }: SyncInstance['spec']['api']): string | null {
  if (ingress !== undefined) {
    const path = ingress.path === '/' ? '' : ingress.path.replace(/\/$/, '');
    return `${ingress.tlsSecretName === undefined ? 'http' : 'https'}://${ingress.host}${path}`;
  }
  const host = httpRoute?.hostnames[0];
  // Whether the listener has TLS stands in the Gateway; clients of the open internet need it.
  return host === undefined ? null : `https://${host}`;
}

/**
 * What to write: `next`, or `previous` when the difference is not worth a write. Times of observation never are; figures only when they differ by more
 * than noise, and not before some time has passed. So an instance at rest is not written at all.
 */
export function settledStatus(
  previous: SyncInstanceStatus | undefined,
  next: SyncInstanceStatus,
  now: number,
): SyncInstanceStatus {
  if (previous === undefined) return next;
  if (JSON.stringify(withoutFigures(previous)) !== JSON.stringify(withoutFigures(next))) return next;
  if (!haveFiguresMoved(previous, next)) return previous;
  const times = (previous.sources ?? []).flatMap(({ observedAt }) => observedAt ?? []);
  const last = Math.max(0, ...times.map((time) => Date.parse(time)));
  return now - last >= FIGURES_MS ? next : previous;
}

/** Keys in one order, figures left out. */
function withoutFigures(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutFigures);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, item]) => !(FIGURES.has(key) && typeof item === 'number') && key !== 'observedAt')
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, withoutFigures(item)]),
  );
}

/** By name of the field: below which difference, absolute and as a share, a change is noise. */
const NOISE: Readonly<Record<string, { readonly least: number; readonly share: number }>> = {
  lagSeconds: { least: 15, share: 0.25 },
  lagBytes: { least: 4 * 1024 * 1024, share: 0.25 },
  connections: { least: 1, share: 0 },
  rowsCopied: { least: 1, share: 0 },
  rowsEstimated: { least: 1, share: 0 },
  percent: { least: 1, share: 0 },
  secondsRemaining: { least: 10, share: 0.25 },
  retainedBytes: { least: 64 * 1024 * 1024, share: 0.1 },
  hoursUntilLoss: { least: 6, share: 0.1 },
};
const FIGURES = new Set(Object.keys(NOISE));

function haveFiguresMoved(previous: unknown, next: unknown, key = ''): boolean {
  const noise = NOISE[key];
  if (noise !== undefined && (typeof previous === 'number' || typeof next === 'number')) {
    if (typeof previous !== 'number' || typeof next !== 'number') return true;
    return Math.abs(next - previous) >= Math.max(noise.least, noise.share * Math.max(previous, next));
  }
  if (previous === null || next === null || typeof previous !== 'object' || typeof next !== 'object') return false;
  const keys = new Set([...Object.keys(previous), ...Object.keys(next)]);
  const at = (value: object, name: string): unknown => (value as Record<string, unknown>)[name];
  return [...keys].some((name) => haveFiguresMoved(at(previous, name), at(next, name), name));
}
