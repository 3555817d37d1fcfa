/** `millrace explain row` and `POST /api/admin/v1/explain`: what is asked, and what is answered. */
import type { SessionRequest } from '#core/sync-config/contract.ts';
import type { RowExplanation } from '#core/sync-config/explain/contract.ts';

export interface ExplainRequest {
  /** `boats`, `public.boats`, `default.public.boats`; or the name of a client's table. */
  readonly table: string;
  /** The row's id on the client, or its key in the source. */
  readonly id: string;
  readonly session: SessionRequest;
  /** Also asks for the write checkpoints of this client. */
  readonly clientId: string | null;
}

/**
 * yes: the newest version is in a bucket that the session has. outdated: another version is, or one of a row that is gone. not yet: it
 * will be, when replication has brought it. no. unknown: nobody could be asked.
 */
export type Gets = 'yes' | 'outdated' | 'not yet' | 'no' | 'unknown';

export interface Verdict {
  readonly gets: Gets;
  /** One sentence. */
  readonly text: string;
  /** Further sentences, the nearest reason first. */
  readonly because: readonly string[];
}

/** What the source says of the row. */
export interface SourceReport {
  /**
   * found; missing: there is no such row; hidden: the source does not show it to replication; unusable: the row cannot be replicated, or the
   * table cannot; no-table; unavailable: the source could not be asked.
   */
  readonly state: 'found' | 'missing' | 'hidden' | 'unusable' | 'no-table' | 'unavailable';
  /** Why, in words; null when it was found. */
  readonly reason: string | null;
  /** Its key in the source: what `id` may be given as. */
  readonly key: string | null;
  /** How it was searched, in words. */
  readonly searched: readonly string[];
  /** Values as queries see them, as SQL; long ones are cut. */
  readonly columns: readonly { readonly name: string; readonly value: string }[];
  /** Keys of other rows that were found under the same id. */
  readonly others: readonly string[];
}

/** The newest operation of the row in one bucket, as of the checkpoint. */
export interface StoredReport {
  readonly bucket: string;
  readonly stream: string;
  /** The session has the bucket. */
  readonly held: boolean;
  /**
   * put, removed: by this operation. absent: there is none. unfinished: none in what was looked through; the bucket is too large to look
   * through all of it.
   */
  readonly state: 'put' | 'removed' | 'absent' | 'unfinished';
  readonly op: string | null;
  /** The row on the client; null: not known. */
  readonly objectType: string | null;
  readonly objectId: string | null;
  readonly checksum: number | null;
  /** What clients get is what the source has now; null: not known. */
  readonly current: boolean | null;
  /** Operations up to this one were compacted into one that clears the bucket. */
  readonly clearedUpTo: string | null;
}

export interface ReplicationReport {
  readonly position: string | null;
  readonly lastCommitAt: string | null;
  readonly snapshot: string | null;
  /** Of the first copy of the table: its state, and what keeps it. */
  readonly tableState: string | null;
  readonly findings: readonly string[];
}

export interface ClientReport {
  readonly clientId: string;
  readonly connectedSince: string | null;
  /** Checkpoints as op ids: told last, and of which everything was sent. */
  readonly announced: string | null;
  readonly completed: string | null;
  /** Newest write checkpoint that is reached; and one that is waited for. */
  readonly writeCheckpoint: string | null;
  readonly waitingFor: string | null;
  readonly buckets: number | null;
}

export interface ClientsReport {
  /** Sessions of the user that are connected to this worker, and the client that was asked for. */
  readonly clients: readonly ClientReport[];
  /** What nobody could be asked about. */
  readonly unknown: readonly string[];
}

export interface Explanation {
  readonly verdict: Verdict;
  readonly user: string;
  /** Of the sync config. */
  readonly version: number;
  /** Op id that everything from storage is as of. */
  readonly checkpoint: string;
  readonly table: { readonly source: string; readonly schema: string; readonly name: string } | null;
  readonly source: SourceReport;
  /** Buckets of the session, and why it is refused, if it is. */
  readonly session: { readonly buckets: number | null; readonly refused: readonly string[] };
  /** Null when no query reads the table. Keys of buckets in it are without what `prefixes` has in front of them, by identity. */
  readonly queries: RowExplanation | null;
  readonly prefixes: Readonly<Record<string, string>>;
  readonly stored: readonly StoredReport[];
  readonly replication: ReplicationReport | null;
  readonly clients: ClientsReport;
}
