import type { LogSample, Memory } from '../observed.ts';
import { fails, holds, REASONS, unknown, type Verdict } from '../reasons.ts';
import type { SourceFact } from './sources.ts';

/** How far back the pace is measured, and how close together samples are kept. */
const WINDOW_MS = 30 * 60_000;
const SAMPLE_MS = 20_000;
/** A shorter time says nothing of the pace. */
const LEAST_SPAN_MS = 60_000;
/** Less than this is a warning: time for somebody to look. */
const SAFE_HOURS = 12;
/** … and so is less room than this, whatever the pace: it may change. */
const SAFE_SHARE = 0.2;
const LONGEST_HOURS = 24 * 365;

/** What a source still keeps of its log for us. */
export interface LogFact {
  readonly source: string;
  readonly retainedBytes: number | null;
  /** Null: no limit, or not told. */
  readonly limitBytes: number | null;
  /** At the present pace; null: not known, no limit, or the log does not grow. */
  readonly hoursUntilLoss: number | null;
  readonly safeShare: number | null;
}

/** The facts, and the samples to remember for the next look. Samples of sources that are gone are forgotten. */
export function sourceLogs(
  facts: readonly SourceFact[],
  samples: Memory['logs'],
  now: number,
): { readonly logs: LogFact[]; readonly samples: Memory['logs'] } {
  const kept: Record<string, readonly LogSample[]> = {};
  const logs = facts.flatMap(({ name, report }): LogFact[] => {
    const log = report?.log ?? null;
    const before = samples[name] ?? [];
    if (log === null) {
      // A hand-over must not make us forget the pace.
      if (before.length > 0) kept[name] = before.filter(({ atMs }) => now - atMs <= WINDOW_MS);
      return [];
    }
    const series = log.safeBytes === null ? [] : withSample(before, { atMs: now, safeBytes: log.safeBytes }, now);
    kept[name] = series;
    return [
      {
        source: name,
        retainedBytes: log.retainedBytes,
        limitBytes: log.limitBytes,
        hoursUntilLoss: hoursLeft(series, log.safeBytes, now),
        safeShare:
          log.safeBytes === null || log.limitBytes === null || log.limitBytes === 0
            ? null
            : log.safeBytes / log.limitBytes,
      },
    ];
  });
  return { logs, samples: kept };
}

/** At most one sample per interval, so that the series is bounded. */
function withSample(before: readonly LogSample[], sample: LogSample, now: number): readonly LogSample[] {
  const recent = before.filter(({ atMs }) => now - atMs <= WINDOW_MS && atMs <= now);
  const last = recent.at(-1);
  return last !== undefined && sample.atMs - last.atMs < SAMPLE_MS ? recent : [...recent, sample];
}

/**
 * The log is consumed at the pace of the window: what was confirmed meanwhile gives room back and counts, so a source that keeps up never runs out.
 */
function hoursLeft(series: readonly LogSample[], safeBytes: number | null, now: number): number | null {
  const [first] = series;
  if (first === undefined || safeBytes === null) return null;
  if (safeBytes <= 0) return 0;
  const span = now - first.atMs;
  const used = first.safeBytes - safeBytes;
  if (span < LEAST_SPAN_MS || used <= 0) return null;
  return Math.min(LONGEST_HOURS, (safeBytes / used) * (span / 3_600_000));
}

/** Will the sources keep what is not read yet? Without it everything must be copied anew. */
export function sourceLogVerdict(logs: readonly LogFact[]): Verdict {
  if (logs.length === 0) return unknown('No source has told how much of its log it keeps.');
  const lost = logs.filter(({ safeShare }) => safeShare !== null && safeShare <= 0);
  if (lost.length > 0) {
    const names = lost.map(({ source }) => source).join(', ');
    return fails(
      REASONS.Lost,
      `The limit of the log is reached: ${names}. What is lost is copied anew; raise the limit at the source.`,
    );
  }
  const near = logs.filter(isNear);
  if (near.length > 0) {
    const named = near.map((log) => `${log.source} (${leftText(log)})`).join(', ');
    return fails(
      REASONS.NearLimit,
      `The log of a source will be lost soon: ${named}. See why replication does not keep up, or raise the limit at the source.`,
    );
  }
  const limited = logs.filter(({ limitBytes }) => limitBytes !== null);
  if (limited.length > 0) return holds(REASONS.Safe, 'The sources keep their logs for long enough.');
  return holds(REASONS.NoLimit, 'The sources keep their logs without a limit: watch their disks.');
}

function isNear({ hoursUntilLoss, safeShare }: LogFact): boolean {
  return (hoursUntilLoss !== null && hoursUntilLoss < SAFE_HOURS) || (safeShare !== null && safeShare < SAFE_SHARE);
}

/** In steps, so that the message does not change with every look. */
function leftText({ hoursUntilLoss, safeShare }: LogFact): string {
  const hours =
    hoursUntilLoss === null
      ? null
      : hoursUntilLoss < 1
        ? 'less than 1 hour'
        : `about ${roundedHours(hoursUntilLoss)} hours`;
  const share =
    safeShare === null ? null : `${safeShare < 0.05 ? 'less than 5' : Math.ceil(safeShare * 10) * 10} % of it free`;
  return [hours, share].filter((text) => text !== null).join(', ');
}

/** Whole hours below 6, then steps of 6. */
export function roundedHours(hours: number): number {
  return hours < 6 ? Math.floor(hours) : Math.floor(hours / 6) * 6;
}
