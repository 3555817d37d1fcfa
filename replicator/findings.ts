/** What is wrong with a source at present: each problem is logged once when it comes up and once when it is gone (R-107, O-114). */
import type { Finding } from './sources/contract.ts';
import type { RunnerLog } from './runner-log.ts';

export interface PresentFinding extends Finding {
  readonly sinceMs: number;
}

export interface Findings {
  /** Replaces what is known under `scope`: the source itself, one of its streams, the tables of one. */
  note(scope: string, findings: readonly Finding[]): void;
  of(scope: string): readonly PresentFinding[];
}

/** Lives as long as the process: a job that starts again does not repeat itself. */
export function createFindings(dependencies: { readonly log: RunnerLog; readonly now: () => number }): Findings {
  const { log, now } = dependencies;
  const scopes = new Map<string, ReadonlyMap<string, PresentFinding>>();
  const isKnown = (key: string): boolean => [...scopes.values()].some((findings) => findings.has(key));

  return {
    note(scope, findings) {
      const former = scopes.get(scope) ?? new Map<string, PresentFinding>();
      const next = new Map<string, PresentFinding>();
      for (const finding of findings) {
        const key = `${finding.code} ${finding.message}`;
        // Two streams of one source see the same tables: one line is enough.
        if (!isKnown(key) && !next.has(key)) {
          if (finding.level === 'fatal') log.error({ code: finding.code }, finding.message);
          else log.warn({ code: finding.code }, finding.message);
        }
        next.set(key, former.get(key) ?? { ...finding, sinceMs: now() });
      }
      if (next.size === 0) scopes.delete(scope);
      else scopes.set(scope, next);
      for (const [key, finding] of former)
        if (!isKnown(key)) log.info({ code: finding.code }, `No longer: ${finding.message}`);
    },
    of: (scope) => [...(scopes.get(scope)?.values() ?? [])],
  };
}
