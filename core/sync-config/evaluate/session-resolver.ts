import { codedError } from '#core/platform/errors/coded-error.ts';
import type {
  BucketReason,
  CreateSessionResolver,
  ResolvedBucket,
  ResolvedStream,
  SessionRequest,
} from '../contract.ts';
import type { PlanStream, SyncPlan } from '../plan.ts';
import { createLookupReader } from './lookup-reader.ts';
import { compileQuerier, type CompiledQuerier } from './querier.ts';
import { sessionEnv, type SessionEnv } from './session-parameters.ts';

interface CompiledStream {
  readonly plan: PlanStream;
  readonly queriers: readonly CompiledQuerier[];
}

/** One reason for which a stream is evaluated. */
interface Evaluation {
  readonly stream: CompiledStream;
  readonly reason: BucketReason;
  readonly env: SessionEnv;
  readonly overridePriority: number | null;
}
interface Limits {
  readonly maxBuckets: number;
  readonly maxParameterResults: number;
}
interface MutableBucket {
  readonly identity: string;
  readonly key: string;
  readonly stream: string;
  priority: number;
  readonly reasons: BucketReason[];
}

/** `resolve` is pure but for `read`; a resolver is shared by all sessions of a version. */
export const createSessionResolver: CreateSessionResolver = (plan) => {
  const streams = plan.streams.map((stream): CompiledStream => ({
    plan: stream,
    queriers: stream.queriers.map((querier) => compileQuerier(querier, plan)),
  }));
  return {
    resolve: async (request, read, limits) => {
      const { evaluations, resolvedStreams } = selectStreams(streams, request);
      const reader = createLookupReader(read, countTuples(limits));
      const buckets = createBucketSet(plan, limits);
      const work = evaluations.flatMap((evaluation) =>
        evaluation.stream.queriers.map((querier) => ({ evaluation, querier, keys: [] as readonly string[] })),
      );
      const tasks = work.map((item) => async () => {
        const { env, stream } = item.evaluation;
        // each task has its own env: the current element of an expansion is kept in it
        item.keys = await item.querier.resolve({ ...env }, reader, checkTuples(limits), (count) =>
          buckets.check(stream.plan.name, count),
        );
      });
      await reader.run(tasks);
      // in the order of the config, whichever was resolved first
      for (const { evaluation, querier, keys } of work) buckets.add(evaluation, querier, keys);
      return { buckets: buckets.all(), streams: resolvedStreams, lookups: reader.used() };
    },
  };
};

/** Streams in the order of the config; the checkpoint refers to them by index (S-551…S-554). */
function selectStreams(
  streams: readonly CompiledStream[],
  request: SessionRequest,
): { evaluations: Evaluation[]; resolvedStreams: ResolvedStream[] } {
  const evaluations: Evaluation[] = [];
  const resolvedStreams: ResolvedStream[] = [];
  for (const stream of streams) {
    const byDefault = stream.plan.autoSubscribe && request.includeDefaults;
    const errors: { subscription: 'default' | number; message: string }[] = [];
    const explicit: Evaluation[] = [];
    let subscribed = false;
    for (const [index, subscription] of request.subscriptions.entries()) {
      if (subscription.stream !== stream.plan.name) continue;
      subscribed = true;
      const parameters = asParameters(subscription.parameters);
      if (parameters === undefined) {
        errors.push({ subscription: index, message: 'The parameters of a subscription must be an object or null.' });
        continue;
      }
      const override = subscription.overridePriority;
      const valid = override === null || (Number.isInteger(override) && override >= 0 && override <= 3);
      if (!valid)
        errors.push({
          subscription: index,
          message: 'The priority of a subscription must be 0, 1, 2 or 3; it is ignored.',
        });
      const env = sessionEnv(request, parameters);
      explicit.push({ stream, reason: { sub: index }, env, overridePriority: valid ? override : null });
    }
    if (!byDefault && !subscribed) continue;
    const reason = { default: resolvedStreams.length };
    if (byDefault) evaluations.push({ stream, reason, env: sessionEnv(request, null), overridePriority: null });
    evaluations.push(...explicit);
    resolvedStreams.push({ name: stream.plan.name, isDefault: stream.plan.autoSubscribe, errors });
  }
  return { evaluations, resolvedStreams };
}

/** Undefined for anything but an object or null (S-535). */
function asParameters(parameters: unknown): Readonly<Record<string, unknown>> | null | undefined {
  if (parameters === null || parameters === undefined) return null;
  return typeof parameters === 'object' && !Array.isArray(parameters)
    ? (parameters as Record<string, unknown>)
    : undefined;
}

function checkTuples(limits: Limits): (count: number) => void {
  return (count) => {
    if (count > limits.maxParameterResults) throw tooManyResults(limits);
  };
}
function countTuples(limits: Limits): (count: number) => void {
  let total = 0;
  return (count) => {
    total += count;
    if (total > limits.maxParameterResults) throw tooManyResults(limits);
  };
}
function tooManyResults(limits: Limits): Error {
  return codedError('PSYNC_S2305', `Too many parameter query results (limit of ${limits.maxParameterResults})`);
}

function createBucketSet(plan: SyncPlan, limits: Limits) {
  const byName = new Map<string, MutableBucket>();
  const fail = (count: number, byStream: ReadonlyMap<string, number>): never => {
    const top = [...byStream].toSorted((a, b) => b[1] - a[1]).slice(0, 10);
    throw codedError('PSYNC_S2305', `Too many buckets: ${count} (limit of ${limits.maxBuckets})`, {
      details: top.map(([stream, buckets]) => `${stream}: ${buckets}`),
    });
  };
  return {
    /** A single querier beyond the limit is refused before its keys are built. */
    check: (stream: string, count: number): void => {
      if (count > limits.maxBuckets) fail(count, new Map([[stream, count]]));
    },
    add: (evaluation: Evaluation, querier: CompiledQuerier, keys: readonly string[]): void => {
      const identity = plan.buckets[querier.plan.bucket]?.identity ?? '';
      const priority = evaluation.overridePriority ?? querier.plan.priority ?? evaluation.stream.plan.priority;
      for (const key of keys) {
        const name = `${querier.plan.bucket}:${key}`;
        const known = byName.get(name);
        if (known === undefined) {
          byName.set(name, {
            identity,
            key,
            stream: evaluation.stream.plan.name,
            priority,
            reasons: [evaluation.reason],
          });
        } else {
          known.priority = Math.min(known.priority, priority);
          if (!known.reasons.includes(evaluation.reason)) known.reasons.push(evaluation.reason);
        }
      }
    },
    all: (): ResolvedBucket[] => {
      if (byName.size > limits.maxBuckets) {
        const byStream = new Map<string, number>();
        for (const { stream } of byName.values()) byStream.set(stream, (byStream.get(stream) ?? 0) + 1);
        fail(byName.size, byStream);
      }
      return [...byName.values()].map(({ identity, key, priority, reasons }) => ({ identity, key, priority, reasons }));
    },
  };
}
