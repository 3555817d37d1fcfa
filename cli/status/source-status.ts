/** One source as `/status` tells it: by the leader from what it does, by others from what storage has. */
import type { ReplicationStream } from '#core/bucket-storage/contract.ts';
import type { DeployedVersion } from '#core/bucket-storage/sync-config-store.ts';
import { SOURCE_SILENT_MS } from '#core/platform/limits.ts';
import { STATUS_LIMITS, type SourcePartStatus, type SourceState } from '#core/platform/status/contract.ts';
import type { PresentFinding } from '#replicator/findings.ts';
import type { SourceReport, StreamReport } from '#replicator/report.ts';
import { messageText, nameText, problemOf, timeText, type Bounds } from './bounded.ts';
import type { StoredState } from './stored-state.ts';

export function sourceStatus(
  tag: string,
  report: SourceReport | undefined,
  stored: StoredState,
  now: number,
  bounds: Bounds,
): SourcePartStatus {
  const storedStreams = streamsOf(tag, stored.versions);
  const { active, processing } = storedStreams;
  const lastCommitMs = Math.max(active?.lastCommitMs ?? 0, processing?.lastCommitMs ?? 0);
  const common = { tag: nameText(tag), lastCommitAt: lastCommitMs === 0 ? null : timeText(lastCommitMs) };
  const findings = (report?.findings ?? []).concat(
    report?.leader ? report.streams.flatMap((item) => item.findings) : [],
  );
  const error = problemFrom(report, findings);
  const shown = bounds.list(findings, STATUS_LIMITS.findings, 'sources.findings').map(findingOf);
  if (!report?.leader) {
    const blocked = (active ?? processing)?.progress?.blocked ?? null;
    return {
      ...common,
      leader: false,
      state: stored.error === null ? storedState(active ?? processing, now) : 'Unknown',
      ...{ lagBytes: null, lagSeconds: null, log: null },
      snapshot: storedSnapshot(storedStreams),
      error: error ?? (blocked && problemOf(blocked)),
      findings: shown,
    };
  }
  // The older version is the active one; a newer one is copied beside it.
  const streams = report.streams.toSorted((a, b) => a.version - b.version);
  const [served] = streams;
  const status = served?.status ?? null;
  return {
    ...common,
    leader: true,
    state: leaderState(served, error !== null),
    lagBytes: status?.lagBytes ?? null,
    lagSeconds: secondsOf(
      served?.lagMs ?? (active?.lastCommitMs == null ? null : Math.max(0, now - active.lastCommitMs)),
    ),
    snapshot: snapshotOf(streams.find((stream) => !stream.initialReplicationDone)),
    log: status && {
      retainedBytes: status.retainedBytes,
      limitBytes: status.maxWalBytes,
      safeBytes: status.safeWalBytes,
    },
    error,
    findings: shown,
  };
}

function streamsOf(
  tag: string,
  versions: readonly DeployedVersion[] | null,
): { readonly active: ReplicationStream | null; readonly processing: ReplicationStream | null } {
  const of = (state: DeployedVersion['state']): ReplicationStream | null =>
    versions
      ?.find((version) => version.state === state)
      ?.streams.toReversed()
      .find(({ source }) => source === tag) ?? null;
  return { active: of('active'), processing: of('processing') };
}

function problemFrom(report: SourceReport | undefined, findings: readonly PresentFinding[]): SourcePartStatus['error'] {
  if (report?.error) return problemOf(report.error);
  const fatal = findings.find(({ level }) => level === 'fatal');
  return fatal === undefined ? null : problemOf(fatal);
}

function findingOf({ level, code, message, sinceMs }: PresentFinding): SourcePartStatus['findings'][number] {
  return { level, code, message: messageText(message), since: timeText(sinceMs) };
}

function leaderState(stream: StreamReport | undefined, hasError: boolean): SourceState {
  if (stream?.state === 'streaming') return 'Streaming';
  if (hasError) return 'Failed';
  if (stream === undefined) return 'Pending';
  if (stream.state === 'copying') return 'Copying';
  if (stream.state === 'catching-up' || stream.initialReplicationDone) return 'CatchingUp';
  return stream.rowsCopied > 0 ? 'Copying' : 'Pending';
}

function storedState(stream: ReplicationStream | null, now: number): SourceState {
  const progress = stream?.progress ?? null;
  if (stream === null || progress === null) return 'Pending';
  if (progress.blocked) return 'Failed';
  if (progress.snapshot === 'copying') return 'Copying';
  if (progress.snapshot === 'catching-up') return 'CatchingUp';
  return now - (stream.lastCommitMs ?? 0) < SOURCE_SILENT_MS ? 'Streaming' : 'Unknown';
}

function snapshotOf(stream: StreamReport | undefined): SourcePartStatus['snapshot'] {
  if (stream === undefined) return null;
  const { version, rowsCopied, rowsEstimated, secondsRemaining } = stream;
  return { version, rowsCopied, rowsEstimated: Math.max(0, rowsEstimated), secondsRemaining };
}

function storedSnapshot({
  active,
  processing,
}: {
  readonly active: ReplicationStream | null;
  readonly processing: ReplicationStream | null;
}): SourcePartStatus['snapshot'] {
  const stream = processing ?? active;
  if (stream === null || stream.progress?.snapshot !== 'copying') return null;
  const { tables } = stream.progress;
  return {
    version: stream.version,
    rowsCopied: tables.reduce((sum, table) => sum + table.rowsCopied, 0),
    rowsEstimated: tables.reduce((sum, table) => sum + Math.max(0, table.rowsEstimated), 0),
    secondsRemaining: null,
  };
}

const secondsOf = (ms: number | null): number | null => (ms === null ? null : Math.round(ms) / 1000);
