/** What a replicator says of itself: to diagnostics (O-112), the operator and the log. No secrets, no row data. */
import type { TableProgress } from '#core/bucket-storage/contract.ts';
import type { PresentFinding } from './findings.ts';
import type { SourceStatus, TableReport } from './sources/contract.ts';

export interface StreamReport {
  readonly stream: number;
  readonly version: number;
  readonly slot: string;
  readonly state: 'opening' | 'copying' | 'catching-up' | 'streaming' | 'stopped';
  readonly position: string | null;
  /** Age of the oldest transaction of the source that is not stored yet; null: it does not stream. */
  readonly lagMs: number | null;
  readonly rowsCopied: number;
  readonly rowsEstimated: number;
  /** Of a copy on its way, by its rate; null: none, or not known yet. */
  readonly secondsRemaining: number | null;
  readonly initialReplicationDone: boolean;
  readonly tables: readonly TableReport[];
  readonly rows: readonly TableProgress[];
  /** Of its slot, when it was looked at last; null: not yet. */
  readonly status: SourceStatus | null;
  /** What is wrong with this stream: the budget of its slot, why it does not begin. */
  readonly findings: readonly PresentFinding[];
}

export interface SourceReport {
  readonly tag: string;
  /** False: a standby (PSYNC_S1003, normal). */
  readonly leader: boolean;
  readonly error: { readonly code: string; readonly message: string; readonly atMs: number } | null;
  /** What is wrong with the source itself. */
  readonly findings: readonly PresentFinding[];
  readonly streams: readonly StreamReport[];
}
