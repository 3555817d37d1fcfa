import { fails, holds, REASONS, unknown, type Verdict } from '../reasons.ts';

export interface ReadyInput {
  readonly storage: Verdict;
  readonly sources: Verdict;
  readonly api: Verdict;
  /** A sync config is served, be it that of the spec or the one before. */
  readonly isServing: boolean;
}

/**
 * Ready means: clients are served, with data that keep up. Whether it is already served as the spec of now says is told by `SyncConfigDeployed` and
 * `Progressing`: a roll-out without downtime is no outage, and neither is a new sync config that was refused.
 */
export function readyVerdict({ storage, sources, api, isServing }: ReadyInput): Verdict {
  const parts = Object.entries({ StorageReady: storage, ApiAvailable: api, SourcesReady: sources });
  const missing = parts.filter(([, { status }]) => status === 'False');
  // Migrating beside what runs takes nothing away from clients.
  const real = missing.filter(([, { reason }]) => !(api.status === 'True' && isDuringRollOut(reason)));
  const [first] = real;
  if (first !== undefined) return fails(first[1].reason, `${first[0]}: ${first[1].message}`);
  if (!isServing) return fails(REASONS.NotServing, 'No sync config is active yet.');
  const [dark] = parts.filter(([, { status }]) => status === 'Unknown');
  if (dark !== undefined) return unknown(`${dark[0]}: ${dark[1].message}`);
  return holds(REASONS.Serving, 'Clients are served with data that keep up.');
}

function isDuringRollOut(reason: string): boolean {
  return reason === REASONS.Migrating || reason === REASONS.MigrationFailed || reason === REASONS.WaitingForSecrets;
}
