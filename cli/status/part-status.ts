/** What this process says of itself at `GET /status` (core/platform/status/contract.ts). */
import { hostname } from 'node:os';
import type { BucketStorage } from '#core/bucket-storage/contract.ts';
import type { Clock } from '#core/platform/clock.ts';
import type { Health } from '#core/platform/health.ts';
import { STATUS_LIMITS, type PartStatus } from '#core/platform/status/contract.ts';
import type { SourceReport } from '#replicator/report.ts';
import { createBounds, nameText, problemOf, timeText } from './bounded.ts';
import { sourceStatus } from './source-status.ts';
import { createStoredState } from './stored-state.ts';
import { createVersionStatus } from './version-status.ts';

export interface PartStatusOptions {
  readonly role: PartStatus['role'];
  readonly version: string;
  readonly instance: string | null;
  readonly clock: Clock;
  readonly health: Health;
  /** Null until it is open. */
  readonly storage: () => BucketStorage | null;
  /** Sources that this process replicates. */
  readonly tags: readonly string[];
  readonly reports: () => readonly SourceReport[];
  readonly api: () => PartStatus['api'];
}

/** Answers soon whatever storage does. Never rejects. */
export function createPartStatus(options: PartStatusOptions): () => Promise<PartStatus> {
  const { role, version, instance, clock, health, tags } = options;
  const startedAt = timeText(clock.now());
  const storedState = createStoredState(options.storage, clock);
  const versionStatus = createVersionStatus();
  return async () => {
    const stored = await storedState();
    const reports = options.reports();
    const now = clock.now();
    const bounds = createBounds();
    const own = new Map(reports.flatMap((report) => report.streams).map((stream) => [stream.stream, stream.rows]));
    return {
      format: 1,
      role,
      version,
      instance,
      hostName: nameText(hostname()),
      startedAt,
      observedAt: timeText(now),
      ready: health.isPositive('readiness'),
      api: options.api(),
      sources: bounds.list(tags, STATUS_LIMITS.sources, 'sources').map((tag) => {
        const report = reports.find((item) => item.tag === tag);
        return sourceStatus(tag, report, stored, now, bounds);
      }),
      storage: {
        reachable: stored.error === null,
        error: stored.error && problemOf(stored.error),
        observedAt: stored.observedMs === null ? null : timeText(stored.observedMs),
      },
      syncConfig:
        stored.versions &&
        versionStatus(stored.versions, (stream) => own.get(stream.id) ?? stream.progress?.tables ?? [], bounds),
      cut: [...bounds.cut],
    };
  };
}
