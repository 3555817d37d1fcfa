import type { Findings } from './findings.ts';
import type { RunningStream } from './leadership.ts';
import type { StreamReport } from './report.ts';
import { streamScope, walScope } from './source-health.ts';
import type { SourceStatus } from './sources/contract.ts';

/** What one stream of a leader says of itself. */
export function streamReport(entry: RunningStream, status: SourceStatus | null, findings: Findings): StreamReport {
  const { runner, version, rate } = entry;
  const { tables, snapshot } = runner.progress.value;
  const sum = (pick: (table: (typeof tables)[number]) => number): number =>
    tables.reduce((total, table) => total + pick(table), 0);
  const [rowsCopied, rowsEstimated] = [sum((table) => table.rowsCopied), sum((table) => table.rowsEstimated)];
  // a table may turn out to be larger than its statistics say
  const left = sum((table) => (table.state === 'done' ? 0 : Math.max(0, table.rowsEstimated - table.rowsCopied)));
  return {
    stream: entry.id,
    version: version.version,
    slot: runner.cursor,
    state: runner.state.kind,
    position: runner.position.committed,
    lagMs: runner.state.kind === 'streaming' ? runner.position.lagMs : null,
    rowsCopied,
    rowsEstimated,
    secondsRemaining: runner.state.kind === 'copying' ? rate.secondsFor(left) : null,
    initialReplicationDone: snapshot !== 'copying',
    tables: runner.reports,
    rows: tables,
    status,
    findings: [...findings.of(streamScope(entry.id)), ...findings.of(walScope(entry.id))],
  };
}
