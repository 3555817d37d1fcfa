/** A finding as people read it: where, what, and the line with a mark below (S-32). */
import type { Diagnostic } from './contract.ts';

/** Of a longer line only the part around the mark is shown. */
const MOST_COLUMNS = 120;
const BEFORE_MARK = 40;

/** `file:line:column: error [code] message`, then the line of the text with what is meant marked. */
export function describeDiagnostic(file: string, text: string, diagnostic: Diagnostic): string {
  const { level, code, message, line, column } = diagnostic;
  return `${file}:${line}:${column}: ${level} [${code}] ${message}\n${excerpt(text, diagnostic)}`;
}

function excerpt(text: string, { line, column, startOffset, endOffset }: Diagnostic): string {
  const whole = (text.split('\n')[line - 1] ?? '').replace(/\r$/, '');
  const from = whole.length > MOST_COLUMNS ? Math.max(0, column - 1 - BEFORE_MARK) : 0;
  const shown = whole.slice(from, from + MOST_COLUMNS);
  const at = column - 1 - from;
  const length = Math.max(1, Math.min(endOffset - startOffset, shown.length - at));
  // Tabs stay, so that the mark stands below what it marks.
  const indent = shown.slice(0, at).replaceAll(/[^\t]/g, ' ');
  const number = String(line).padStart(5);
  return `${number} | ${shown}\n${' '.repeat(number.length)} | ${indent}${'^'.repeat(length)}`;
}
