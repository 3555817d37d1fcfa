/** What resolving one session may cost, and how many buckets may come of it (S-383…S-386, O-59, O-60). */
import { codedError } from '#core/platform/errors/coded-error.ts';

export interface Limits {
  /** Distinct buckets of the session. */
  readonly maxBuckets: number;
  /** Buckets that were found through lookups, before they are made distinct. */
  readonly maxParameterResults: number;
}

/**
 * The two limits count what a session gets: rows that it may not see, and lookups that lead nowhere, never make it fail.
 * What is read and held on the way has a bound of its own, far above, so that no session can take the worker's memory.
 */
export interface Budget {
  /** So many tuples were read of a lookup. */
  read(tuples: number): void;
  /** So many tuples are held. */
  hold(tuples: number): void;
  /** A querier of the stream finds so many buckets. False: too many to build them; `verify` will throw. */
  found(stream: string, buckets: number, throughLookups: boolean): boolean;
  /** Throws PSYNC_S2305 with the ten streams that contribute most. `built`: distinct buckets by stream. */
  verify(built: ReadonlyMap<string, number>): void;
}

/** Tuples that may be read or held, for one result that is allowed. */
const WORK_PER_RESULT = 50;
/** Streams named by the error (S-386). */
const MOST_NAMED = 10;

export function createBudget(limits: Limits): Budget {
  const maxWork = WORK_PER_RESULT * Math.max(limits.maxBuckets, limits.maxParameterResults, 100);
  const results = new Map<string, number>();
  const refused = new Map<string, number>();
  let totalRead = 0;
  let totalBuilt = 0;
  const boundWork = (tuples: number): void => {
    if (tuples <= maxWork) return;
    throw codedError(
      'PSYNC_S2305',
      `Too many rows lead to the buckets of this session: more than ${maxWork}. Filter the subqueries further.`,
    );
  };
  return {
    read: (tuples) => boundWork((totalRead += tuples)),
    hold: boundWork,
    found: (stream, buckets, throughLookups) => {
      if (throughLookups) add(results, stream, buckets);
      if (buckets <= limits.maxBuckets && totalBuilt + buckets <= maxWork) {
        totalBuilt += buckets;
        return true;
      }
      add(refused, stream, buckets);
      return false;
    },
    verify: (built) => {
      if (sum(results) > limits.maxParameterResults) {
        throw tooMany(`Too many parameter query results (limit of ${limits.maxParameterResults})`, results);
      }
      const buckets = new Map(built);
      for (const [stream, count] of refused) add(buckets, stream, count);
      if (sum(buckets) > limits.maxBuckets) {
        throw tooMany(`Too many buckets: ${sum(buckets)} (limit of ${limits.maxBuckets})`, buckets);
      }
    },
  };
}

function add(counts: Map<string, number>, stream: string, count: number): void {
  counts.set(stream, (counts.get(stream) ?? 0) + count);
}
function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((total, count) => total + count, 0);
}
function tooMany(message: string, byStream: ReadonlyMap<string, number>): Error {
  const top = [...byStream].toSorted((a, b) => b[1] - a[1]).slice(0, MOST_NAMED);
  return codedError('PSYNC_S2305', message, { details: top.map(([stream, count]) => `${stream}: ${count}`) });
}
