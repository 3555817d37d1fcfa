/** Differences in words, one line each. */
import { describeRowReason } from '#core/sync-config/explain/describe.ts';
import type { MissingReason } from '#core/sync-config/try-out/missing-row.ts';
import type { Difference } from './contract.ts';

/** Buckets that are named in one line. */
const MOST_BUCKETS = 3;
/** Longer values are cut. */
const MOST_CHARACTERS = 200;

/** `+ lists/l2 …`, `- lists/l1 …`, `~ todos/t1 description: …`; the stream stands above. */
export function describeDifference(difference: Difference): string {
  switch (difference.kind) {
    case 'unexpected':
      return `+ ${difference.table}/${difference.id} (not expected: from ${listed(difference.buckets)})`;
    case 'missing':
      return `- ${difference.table}/${difference.id} (missing: ${difference.reason})`;
    case 'changed': {
      const { table, id, column, expected, actual } = difference;
      const want = expected === null ? 'no such column' : cut(expected);
      return `~ ${table}/${id} ${column}: expected ${want}, got ${actual === null ? 'no such column' : cut(actual)}`;
    }
    case 'forbidden':
      return `! ${difference.table}/${difference.id} (under "never": from ${listed(difference.buckets)})`;
    case 'buckets':
      return `buckets: expected ${difference.expected}, got ${difference.actual}${difference.actual === 0 ? '' : `: ${listed(difference.buckets)}`}`;
    case 'error':
      if (difference.actual === null) return `expected the error ${difference.expected}, but the session is fine`;
      return difference.expected === null
        ? `the session fails: ${difference.actual}`
        : `expected the error ${difference.expected}, got ${difference.actual}`;
  }
}

/** After "missing: ". */
export function describeMissing(reason: MissingReason): string {
  switch (reason.kind) {
    case 'not-subscribed':
      return 'the session does not have the stream; name it under "subscriptions"';
    case 'other-table':
      return `no query of the stream gives rows of this table; they give ${listed(reason.tables)}`;
    case 'no-row':
      return `no row of ${listed(reason.sources)} in this file gives this id`;
    case 'other-bucket':
      return `the row is in ${listed(reason.buckets)}; the session has ${reason.own.length === 0 ? 'no bucket of that query' : listed(reason.own)}`;
    case 'rejected':
      return `the row cannot be synced, [${reason.code}] ${reason.reason}`;
    case 'no-key':
      return listed(reason.because.map(describeRowReason));
    case 'filtered':
      return `no query of the stream selects the row: ${listed(reason.because.map(describeRowReason))}`;
  }
}

export function listed(names: readonly string[], most = MOST_BUCKETS): string {
  const shown = names.slice(0, most).map(cut).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

function cut(text: string): string {
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
}
