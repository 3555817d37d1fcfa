/**
 * The replication job of one source: leads when it holds the lease, runs the streams of the live versions, switches over to a new version
 * when it is ready, and starts again after errors. States and transitions: SPEC.md.
 */
import { createBackoff } from '#core/platform/backoff.ts';
import type { Clock } from '#core/platform/clock.ts';
import { isCodedError } from '#core/platform/errors/coded-error.ts';
import type { BucketStorage } from '#core/bucket-storage/contract.ts';
import type { Coordination } from '#core/coordination/contract.ts';
import { createFindings } from './findings.ts';
import { createLeadership, type LeadershipDependencies } from './leadership.ts';
import type { SourceReport } from './report.ts';
import { SOURCE_SCOPE, SourceUnusable } from './source-health.ts';
import type { RunnerLog } from './runner-log.ts';

/** A standby takes over within 5 s of a kill: the lease lapses after 3 s, storage is taken over in well under 2 s. */
const LEASE_TTL_MS = 3000;

export interface SourceJob {
  /** Runs until `signal` aborts; errors are retried for ever with back-off. */
  run(): Promise<void>;
  report(): SourceReport;
}

export interface SourceJobDependencies extends Omit<LeadershipDependencies, 'writer' | 'signal' | 'log' | 'findings'> {
  readonly storage: BucketStorage;
  readonly coordination: Coordination;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: RunnerLog;
  readonly owner: string;
  readonly signal: AbortSignal;
  leads(leader: boolean): void;
}

export function createSourceJob(dependencies: SourceJobDependencies): SourceJob {
  const { storage, coordination, clock, log, owner, signal, tag } = dependencies;
  let leadership: ReturnType<typeof createLeadership> | null = null;
  let lastError: { readonly code: string; readonly message: string; readonly atMs: number } | null = null;
  let standby = true;
  const findings = createFindings({ log, now: () => clock.now() });

  const lead = async (): Promise<void> => {
    const lease = await coordination.acquire({ name: `source/${tag}`, owner, ttlMs: LEASE_TTL_MS }, signal);
    try {
      standby = false;
      dependencies.leads(true);
      const until = AbortSignal.any([signal, lease.lost]);
      const writer = await storage.takeOver(tag, owner);
      log.info({ epoch: writer.epoch }, 'Leading the replication of a source');
      const current = createLeadership({ ...dependencies, writer, signal: until, log, findings });
      leadership = current;
      await current.run(() => {
        lastError = null;
        backoff.reset();
      });
      if (lease.lost.aborted && !signal.aborted) log.warn({}, 'Lost the lease of the source; another process may lead');
    } finally {
      standby = true;
      dependencies.leads(false);
      leadership = null;
      await lease.release();
    }
  };

  const backoff = createBackoff({ clock, initialMs: 200, maxMs: 15_000, random: dependencies.random });
  return {
    async run() {
      while (!signal.aborted) {
        try {
          await lead();
        } catch (error) {
          if (signal.aborted) return;
          // Known and logged as a finding; the next term waits until it is gone.
          if (error instanceof SourceUnusable) {
            dependencies.failed(error.finding.code);
            await clock.sleep(backoff.next(), signal).catch(() => undefined);
            continue;
          }
          const code = isCodedError(error) ? error.code : 'PSYNC_S2001';
          const message = error instanceof Error ? error.message : String(error);
          lastError = { code, message, atMs: clock.now() };
          const delayMs = backoff.next();
          dependencies.failed(code);
          log.error({ code, delayMs, err: error }, 'Replication stopped; it starts again');
          await clock.sleep(delayMs, signal).catch(() => undefined);
        }
      }
    },
    report() {
      const present = findings.of(SOURCE_SCOPE);
      const fatal = present.find(({ level }) => level === 'fatal');
      const unusable = fatal && { code: fatal.code, message: fatal.message, atMs: fatal.sinceMs };
      return {
        tag,
        leader: !standby,
        error: unusable ?? lastError,
        findings: present,
        streams: leadership?.report() ?? [],
      };
    },
  };
}
