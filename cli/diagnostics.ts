/** `POST /api/admin/v1/diagnostics` (O-111…O-114): what storage knows of every version, and what this process' replicator adds. */
import type { BucketStorage, ReplicationStream } from '#core/bucket-storage/contract.ts';
import type { DeployedVersion } from '#core/bucket-storage/sync-config-store.ts';
import type { ServiceConfig, SourceConnection } from '#core/platform/config/service-config.ts';
import { REPLICATION_LAG_FATAL_MS, REPLICATION_LAG_WARNING_MS, SOURCE_SILENT_MS } from '#core/platform/limits.ts';
import type { SyncPlan } from '#core/sync-config/contract.ts';
import type { PresentFinding } from '#replicator/findings.ts';
import type { SourceStatus } from '#replicator/sources/contract.ts';
import type { SourceReport, StreamReport } from '#replicator/report.ts';
import { tableUse } from './table-uses.ts';
import { diagnosticBody, type ValidateText } from './validation.ts';

export interface DiagnosticsOptions {
  readonly config: ServiceConfig;
  readonly storage: BucketStorage;
  /** Reports of this process' replicator; empty in API processes. */
  readonly reports: () => readonly SourceReport[];
  /** Of a version's sync config: its warnings, against the tables as they are now. */
  readonly validate: ValidateText;
  readonly now: () => number;
}

export function createDiagnostics(options: DiagnosticsOptions): (request: { content: boolean }) => Promise<object> {
  return async ({ content }) => {
    const versions = await options.storage.configs.live();
    const active = versions.find((version) => version.state === 'active');
    const deploying = versions.find((version) => version.state === 'processing');
    return {
      connections: options.config.replication.connections.map((connection) =>
        connectionOf(connection, versions, options),
      ),
      ...(active ? { active_sync_rules: await versionOf(active, content, options) } : {}),
      ...(deploying ? { deploying_sync_rules: await versionOf(deploying, content, options) } : {}),
    };
  };
}

function connectionOf(
  connection: SourceConnection,
  versions: readonly DeployedVersion[],
  { reports, now }: DiagnosticsOptions,
): object {
  const report = reports().find((item) => item.tag === connection.tag);
  const heard = Math.max(
    0,
    ...versions.flatMap((version) =>
      version.streams.filter((stream) => stream.source === connection.tag).map((stream) => stream.lastCommitMs ?? 0),
    ),
  );
  const error = report?.leader ? report.error : null;
  const connected = report?.leader ? error === null : now() - heard < SOURCE_SILENT_MS;
  const findings = report?.leader ? report.findings : [];
  return {
    id: connection.id,
    ...(connection.type === 'postgresql' ? { postgres_uri: addressOf(connection) } : {}),
    connected,
    errors: [
      ...(error === null || findings.some((finding) => finding.message === error.message)
        ? []
        : [{ level: 'fatal', message: error.message, code: error.code, ts: new Date(error.atMs).toISOString() }]),
      ...findings.map(errorOf),
    ],
  };
}

function errorOf({ level, code, message, sinceMs }: PresentFinding): object {
  return { level, message, code, ts: new Date(sinceMs).toISOString() };
}

/** Without user and password (O-112). */
function addressOf(connection: Extract<SourceConnection, { type: 'postgresql' }>): string {
  const hosts = connection.hosts.map((host) => `${host.hostname}:${host.port}`).join(',');
  return `postgresql://${hosts}/${connection.database}`;
}

async function versionOf(version: DeployedVersion, content: boolean, options: DiagnosticsOptions): Promise<object> {
  const { result } = await options.validate(version.content);
  const ts = new Date(version.createdMs).toISOString();
  // it was accepted: what a later release refuses is said when it is deployed again
  const warnings = result.diagnostics.filter(({ level }) => level === 'warning');
  const plan = JSON.parse(version.plan) as SyncPlan;
  return {
    ...(content ? { content: version.content } : {}),
    connections: version.streams.map((stream) => streamOf(stream, plan, options)),
    errors: [
      ...(version.error === null
        ? []
        : [{ level: 'fatal', message: version.error, ts: new Date(version.createdMs).toISOString() }]),
      ...version.streams.flatMap((stream) => [
        ...lagOf(stream, version, options.now()),
        ...findingsOf(stream, version, options),
      ]),
      ...warnings.map((warning) => ({ ...diagnosticBody(warning), ts })),
    ],
  };
}

/** Heartbeats are commits too, so that an idle source raises nothing. */
function lagOf(stream: ReplicationStream, version: DeployedVersion, now: number): object[] {
  const silentMs = now - (stream.lastCommitMs ?? version.createdMs);
  if (version.state !== 'active' || silentMs <= REPLICATION_LAG_WARNING_MS) return [];
  return [
    {
      level: silentMs > REPLICATION_LAG_FATAL_MS ? 'fatal' : 'warning',
      message: `Nothing was replicated from "${stream.source}" for ${Math.floor(silentMs / 60_000)} minutes. Look at the replicator's log, and at the source.`,
      ts: new Date(now).toISOString(),
    },
  ];
}

function reportOf(stream: ReplicationStream, { reports }: DiagnosticsOptions): StreamReport | undefined {
  return reports()
    .flatMap((item) => item.streams)
    .find((item) => item.stream === stream.id);
}

/** O-114: the budget of its slot, why its copy stands still. Where no replicator of this process knows, what storage says. */
function findingsOf(stream: ReplicationStream, version: DeployedVersion, options: DiagnosticsOptions): object[] {
  const report = reportOf(stream, options);
  if (report) return report.findings.map(errorOf);
  const blocked = stream.progress?.blocked;
  const ts = new Date(stream.lastCommitMs ?? version.createdMs).toISOString();
  return blocked ? [{ level: 'fatal', message: blocked.message, code: blocked.code, ts }] : [];
}

function streamOf(stream: ReplicationStream, plan: SyncPlan, options: DiagnosticsOptions): object {
  const connection = options.config.replication.connections.find((item) => item.tag === stream.source);
  const report = reportOf(stream, options);
  const heard = stream.lastCommitMs === null ? undefined : new Date(stream.lastCommitMs).toISOString();
  const reported = new Map(
    (report?.tables ?? stream.progress?.reports ?? []).map((table) => [
      JSON.stringify([table.schema, table.name]),
      table,
    ]),
  );
  return {
    id: connection?.id ?? stream.source,
    tag: stream.source,
    slot_name: stream.slot,
    initial_replication_done: stream.progress !== null && stream.progress.snapshot !== 'copying',
    ...(stream.position === null ? {} : { last_lsn: stream.position }),
    ...(heard === undefined ? {} : { last_keepalive_ts: heard, last_checkpoint_ts: heard }),
    ...slotOf(report?.status ?? null),
    tables: plan.tables
      .filter((table) => table.source === stream.source)
      .map((table) => {
        const found = reported.get(JSON.stringify([table.schema, table.name]));
        const { schema, name, ...uses } = tableUse(plan, table);
        return { schema, name, replication_id: found?.identityColumns ?? [], ...uses, errors: found?.errors ?? [] };
      }),
  };
}

/** O-113, R-106. */
function slotOf(status: SourceStatus | null): object {
  if (status === null) return {};
  return {
    ...(status.lagBytes === null ? {} : { replication_lag_bytes: status.lagBytes }),
    ...(status.walStatus === null ? {} : { wal_status: status.walStatus }),
    ...(status.safeWalBytes === null ? {} : { safe_wal_size: status.safeWalBytes }),
    ...(status.maxWalBytes === null ? {} : { max_slot_wal_keep_size: status.maxWalBytes }),
  };
}
