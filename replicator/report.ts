/** What a replicator says of itself: to diagnostics (O-112), the operator and the log. No secrets, no row data. */
import type { PresentFinding } from './findings.ts';
import type { SourceStatus, TableReport } from './sources/contract.ts';

export interface StreamReport {
  readonly stream: number;
  readonly version: number;
  readonly slot: string;
  readonly state: 'opening' | 'copying' | 'catching-up' | 'streaming' | 'stopped';
  readonly position: string | null;
  readonly rowsCopied: number;
  readonly rowsEstimated: number;
  readonly initialReplicationDone: boolean;
  readonly tables: readonly TableReport[];
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
