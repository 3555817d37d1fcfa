import { codedError, type CodedError } from '../errors/coded-error.ts';
import type { ErrorCode } from '../errors/registry.ts';

/** Where a value stands in the configuration: keys and list positions from the top. */
export type ConfigPath = readonly (string | number)[];

/** Something that keeps the configuration from being used. Holds no values, only names (O-18, O-195). */
export interface ConfigProblem {
  readonly code: ErrorCode;
  /** Like `replication.connections[0].uri`; empty for the whole file. */
  readonly key: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** What is wrong and what to do. */
  readonly message: string;
}

/** Something worth a log line that does not keep the configuration from being used. */
export interface ConfigNotice {
  readonly level: 'info' | 'warn';
  readonly key: string;
  readonly message: string;
}

/** How parts of the loader tell of what they find. */
export interface ConfigReport {
  problem(path: ConfigPath, code: ErrorCode, message: string): void;
  notice(level: ConfigNotice['level'], path: ConfigPath, message: string): void;
}

/** `['a', 0, 'b']` → `a[0].b`. What does not look like a name becomes `?`: a misplaced value could be a secret. */
export function formatPath(path: ConfigPath): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    const name = /^[$\w-]{1,64}$/.test(part) ? part : '?';
    return text === '' ? name : `${text}.${name}`;
  }, '');
}

/**
 * One error for all problems, in the order of their lines (O-20). Its code is that of the problems when they share one,
 * else `PSYNC_S3201`; `details` has one line per problem.
 *
 * @param origin what the operator calls the configuration, for example its path
 */
export function configurationError(origin: string, problems: readonly ConfigProblem[]): CodedError {
  const sorted = problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
  const codes = new Set(sorted.map(({ code }) => code));
  const code = codes.size === 1 ? sorted[0]!.code : 'PSYNC_S3201';
  const details = sorted.map((problem) => {
    const key = problem.key === '' ? '' : `${problem.key}: `;
    return `line ${problem.line}, column ${problem.column}: ${key}${problem.message} [${problem.code}]`;
  });
  const count = details.length === 1 ? '1 problem' : `${details.length} problems`;
  return codedError(code, `${origin} has ${count}:\n  ${details.join('\n  ')}`, { details });
}

/** The candidate that `text` most likely means, or null when none is near. */
export function didYouMean(text: string, candidates: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(text.length / 3)) + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - text.length) >= bestDistance) continue;
    const distance = editDistance(text.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours that make `a` into `b`. */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let distance = Math.min(previous[j]! + 1, current[j - 1]! + 1, replace);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, beforePrevious[j - 2]! + 1);
      }
      current.push(distance);
    }
    [beforePrevious, previous] = [previous, current];
  }
  return previous[b.length]!;
}
