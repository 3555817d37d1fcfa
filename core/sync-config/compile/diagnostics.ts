import type { Diagnostic } from '../contract.ts';
import type { SyncConfigCode } from '../codes.ts';

/**
 * `follow-up`: an error that is probably there only because of another one, such as a name that is unknown since what defines it could
 * not be read. It refuses the config like any error, but is shown only where there is no other.
 */
export type FindingLevel = Diagnostic['level'] | 'follow-up';

/** Collects findings of one run; the same finding at the same place counts once. */
export interface Diagnostics {
  report(level: FindingLevel, code: SyncConfigCode, message: string, startOffset: number, endOffset: number): void;
  /** How often something was reported that refuses the config. */
  errorCount(): number;
  /** In the order of the text, with line and column. Has an error exactly when `errorCount` is not 0. */
  all(): Diagnostic[];
}

/** More findings than this help nobody. */
const MAX_FINDINGS = 200;
const WEIGHT: Readonly<Record<FindingLevel, number>> = { error: 0, 'follow-up': 1, warning: 2 };

interface Finding extends Omit<Diagnostic, 'line' | 'column' | 'level'> {
  readonly level: FindingLevel;
}

export function createDiagnostics(text: string): Diagnostics {
  const findings = new Map<string, Finding>();
  let errors = 0;
  return {
    report: (level, code, message, start, end) => {
      const startOffset = Math.max(0, Math.min(start, text.length));
      const endOffset = Math.max(startOffset, Math.min(end, text.length));
      if (level !== 'warning') errors++;
      const key = `${code}:${startOffset}:${endOffset}`;
      const known = findings.get(key);
      if (known !== undefined && WEIGHT[known.level] <= WEIGHT[level]) return;
      if (level === 'warning' && findings.size >= MAX_FINDINGS) return;
      findings.set(key, { level, code, message, startOffset, endOffset });
    },
    errorCount: () => errors,
    all: () => {
      const lineStarts = startsOfLines(text);
      return shown([...findings.values()]).map(({ level, ...finding }) => ({
        level: level === 'warning' ? level : 'error',
        ...finding,
        ...positionAt(lineStarts, finding.startOffset),
      }));
    },
  };
}

/** Errors first where there are too many: a config that is refused must show why. */
function shown(findings: readonly Finding[]): Finding[] {
  const errors = findings.some(({ level }) => level === 'error');
  return findings
    .filter(({ level }) => !errors || level !== 'follow-up')
    .toSorted((a, b) => WEIGHT[a.level] - WEIGHT[b.level])
    .slice(0, MAX_FINDINGS)
    .toSorted((a, b) => a.startOffset - b.startOffset);
}

function startsOfLines(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}
function positionAt(lineStarts: readonly number[], offset: number): { line: number; column: number } {
  let low = 0;
  let high = lineStarts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((lineStarts[middle] as number) <= offset) low = middle + 1;
    else high = middle;
  }
  return { line: low, column: offset - (lineStarts[low - 1] ?? 0) + 1 };
}
