import type { Diagnostic } from '../contract.ts';
import type { SyncConfigCode } from '../codes.ts';

/** Collects findings of one run; the same finding at the same place counts once. */
export interface Diagnostics {
  report(
    level: 'error' | 'warning',
    code: SyncConfigCode,
    message: string,
    startOffset: number,
    endOffset: number,
  ): void;
  errorCount(): number;
  /** In the order of the text, with line and column. */
  all(): Diagnostic[];
}

/** More findings than this help nobody. */
const MAX_FINDINGS = 200;

export function createDiagnostics(text: string): Diagnostics {
  const findings = new Map<string, Omit<Diagnostic, 'line' | 'column'>>();
  let errors = 0;
  return {
    report: (level, code, message, start, end) => {
      const startOffset = Math.max(0, Math.min(start, text.length));
      const endOffset = Math.max(startOffset, Math.min(end, text.length));
      const key = `${code}:${startOffset}:${endOffset}`;
      if (findings.has(key)) return;
      if (level === 'error') errors++;
      else if (findings.size >= MAX_FINDINGS) return;
      findings.set(key, { level, code, message, startOffset, endOffset });
    },
    errorCount: () => errors,
    all: () => {
      const lineStarts = startsOfLines(text);
      return [...findings.values()]
        .toSorted((a, b) => a.startOffset - b.startOffset)
        .slice(0, MAX_FINDINGS)
        .map((finding) => ({ ...finding, ...positionAt(lineStarts, finding.startOffset) }));
    },
  };
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
