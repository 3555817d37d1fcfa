/**
 * Looks at a source before a stream begins and now and then while it runs (R-81… ): what it finds is logged once,
 * shown by diagnostics, and stops replication where going on would lose changes.
 */
import type { Clock } from '#core/platform/clock.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { ErrorCode } from '#core/platform/errors/registry.ts';
import type { Findings } from './findings.ts';
import type { RunningStream } from './leadership.ts';
import type { Finding, SourceStatus } from './sources/contract.ts';

/** A warning when less than this part of what the source keeps for a slot is left. */
const LEAST_WAL_LEFT = 0.5;
const FIRST_LOOK_MS = 3000;

/** The source cannot be replicated as it is; tried again until it can. */
export class SourceUnusable extends Error {
  readonly finding: Finding;
  constructor(finding: Finding) {
    super(finding.message);
    this.finding = finding;
  }
  coded(): Error {
    return codedError(this.finding.code as ErrorCode, this.message);
  }
}

export interface SourceHealthDependencies {
  readonly findings: Findings;
  readonly clock: Clock;
  readonly intervalMs: number;
  readonly signal: AbortSignal;
  readonly entries: () => Iterable<RunningStream>;
  /** The log of the source that its slot has not confirmed yet. */
  lagBytes(bytes: number): void;
  connected(connected: boolean): void;
  fail(error: unknown): void;
}

export interface SourceHealth {
  /** Before the cursor of a stream is created or opened. Throws SourceUnusable. */
  examine(entry: RunningStream): Promise<void>;
  /** Looks again now and then. */
  run(): Promise<void>;
  status(stream: number): SourceStatus | null;
}

export const SOURCE_SCOPE = 'source';
export const streamScope = (stream: number): string => `stream ${stream}`;
export const walScope = (stream: number): string => `wal ${stream}`;
const tablesScope = (stream: number): string => `tables ${stream}`;

export function createSourceHealth(dependencies: SourceHealthDependencies): SourceHealth {
  const { findings, clock, signal } = dependencies;
  const statuses = new Map<number, SourceStatus>();

  const noteTables = (entry: RunningStream): void =>
    findings.note(
      tablesScope(entry.id),
      entry.runner.reports.flatMap((report) => report.errors),
    );

  const lookAgain = async (entry: RunningStream): Promise<void> => {
    const report = await entry.source.check({ connect: false });
    if (entry.done || signal.aborted) return;
    const answered = !report.findings.some(({ unanswered }) => unanswered);
    dependencies.connected(answered);
    // Whether it can be reached shows in the stream itself; a check that was not answered says nothing new.
    if (!answered) return;
    findings.note(SOURCE_SCOPE, report.findings);
    entry.runner.noteTables(report.tables);
    noteTables(entry);
    const fatal = report.findings.find(({ level }) => level === 'fatal');
    if (fatal) throw new SourceUnusable(fatal);
  };

  const lookAtSlot = async (entry: RunningStream): Promise<void> => {
    const { cursor } = entry.runner;
    if (cursor === '') return;
    const status = await entry.source.status(cursor).catch(() => null);
    if (status === null || entry.done) return;
    statuses.set(entry.id, status);
    if (entry.version.state === 'active' && status.lagBytes !== null) dependencies.lagBytes(status.lagBytes);
    findings.note(walScope(entry.id), walFindings(cursor, status));
  };

  const look = async (): Promise<void> => {
    const entries = [...dependencies.entries()].filter((entry) => !entry.done);
    const live = new Set(entries.map((entry) => entry.id));
    for (const id of statuses.keys()) {
      if (live.has(id)) continue;
      statuses.delete(id);
      findings.note(walScope(id), []);
      findings.note(tablesScope(id), []);
    }
    for (const entry of entries) {
      await lookAgain(entry);
      await lookAtSlot(entry);
    }
  };

  return {
    async examine(entry) {
      const report = await entry.source.check();
      signal.throwIfAborted();
      dependencies.connected(!report.findings.some(({ unanswered }) => unanswered));
      findings.note(SOURCE_SCOPE, report.findings);
      const fatal = report.findings.find(({ level }) => level === 'fatal');
      if (fatal) throw new SourceUnusable(fatal);
      entry.runner.noteTables(report.tables);
      noteTables(entry);
    },
    async run() {
      // The first look comes soon: somebody who just started it wants to know.
      for (
        let waitMs = Math.min(FIRST_LOOK_MS, dependencies.intervalMs);
        !signal.aborted;
        waitMs = dependencies.intervalMs
      ) {
        await clock.sleep(waitMs, signal).catch(() => undefined);
        if (signal.aborted) return;
        await look().catch(dependencies.fail);
      }
    },
    status: (stream) => statuses.get(stream) ?? null,
  };
}

function walFindings(cursor: string, status: SourceStatus): Finding[] {
  const { safeWalBytes: safe, maxWalBytes: most, walStatus } = status;
  if (walStatus === 'lost') {
    const message = `Replication slot ${cursor} was invalidated: the source no longer keeps the log that it needs.`;
    return [{ level: 'fatal', code: 'PSYNC_S1146', message }];
  }
  if (safe === null || most === null || most <= 0 || safe >= most * LEAST_WAL_LEFT) return [];
  const message =
    `Replication slot ${cursor} has used more than half of max_slot_wal_keep_size (${Math.round(most / 1024 / 1024)} MB). ` +
    'Beyond it the slot is lost and everything is copied again: raise the limit, or let less be written meanwhile.';
  return [{ level: 'warning', code: 'PSYNC_S1178', message }];
}
