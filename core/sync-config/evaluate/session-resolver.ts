import type {
  BucketReason,
  CreateSessionResolver,
  ResolvedBucket,
  ResolvedStream,
  SessionRequest,
} from '../contract.ts';
import type { PlanStream, SyncPlan } from '../plan.ts';
import { createBudget } from './budget.ts';
import { createLookupReader } from './lookup-reader.ts';
import { compileQuerier, type CompiledQuerier } from './querier.ts';
import { sessionEnv, type SessionEnv } from './session-parameters.ts';

interface CompiledStream {
  readonly plan: PlanStream;
  readonly queriers: readonly CompiledQuerier[];
}

/** One reason for which a stream is evaluated. */
interface Evaluation<Stream extends { readonly plan: PlanStream } = CompiledStream> {
  readonly stream: Stream;
  readonly reason: BucketReason;
  readonly env: SessionEnv;
  readonly overridePriority: number | null;
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
      const budget = createBudget(limits);
      const reader = createLookupReader(read, budget.read);
      const work = evaluations.flatMap((evaluation) =>
        evaluation.stream.queriers.map((querier) => ({ evaluation, querier, keys: [] as readonly string[] })),
      );
      const tasks = work.map((item) => async () => {
        const { env, stream } = item.evaluation;
        // each task has its own env: the current element of an expansion is kept in it
        item.keys = await item.querier.resolve({ ...env }, reader, budget.hold, (count) =>
          budget.found(stream.plan.name, count, item.querier.hasLookups),
        );
      });
      await reader.run(tasks);
      const buckets = createBucketSet(plan);
      // in the order of the config, whichever was resolved first
      for (const { evaluation, querier, keys } of work) buckets.add(evaluation, querier, keys);
      budget.verify(buckets.countByStream());
      return { buckets: buckets.all(), streams: resolvedStreams, lookups: reader.used() };
    },
  };
};

/** Streams in the order of the config; the checkpoint refers to them by index (S-551…S-554). */
export function selectStreams<Stream extends { readonly plan: PlanStream }>(
  streams: readonly Stream[],
  request: SessionRequest,
): { evaluations: Evaluation<Stream>[]; resolvedStreams: ResolvedStream[] } {
  const evaluations: Evaluation<Stream>[] = [];
  const resolvedStreams: ResolvedStream[] = [];
  for (const stream of streams) {
    const byDefault = stream.plan.autoSubscribe && request.includeDefaults;
    const errors: { subscription: 'default' | number; message: string }[] = [];
    const explicit: Evaluation<Stream>[] = [];
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

function createBucketSet(plan: SyncPlan) {
  const byName = new Map<string, MutableBucket>();
  return {
    add: (evaluation: Evaluation, querier: CompiledQuerier, keys: readonly string[]): void => {
      const identity = plan.buckets[querier.plan.bucket]?.identity ?? '';
      const priority = evaluation.overridePriority ?? querier.plan.priority ?? evaluation.stream.plan.priority;
      const { reason } = evaluation;
      for (const key of keys) {
        const name = `${querier.plan.bucket}:${key}`;
        const known = byName.get(name);
        if (known === undefined) {
          byName.set(name, { identity, key, stream: evaluation.stream.plan.name, priority, reasons: [reason] });
        } else {
          known.priority = Math.min(known.priority, priority);
          // one evaluation is added as a whole, so that its reason can only be the last one
          if (known.reasons.at(-1) !== reason) known.reasons.push(reason);
        }
      }
    },
    countByStream: (): Map<string, number> => {
      const counts = new Map<string, number>();
      for (const { stream } of byName.values()) counts.set(stream, (counts.get(stream) ?? 0) + 1);
      return counts;
    },
    all: (): ResolvedBucket[] =>
      [...byName.values()].map(({ identity, key, priority, reasons }) => ({ identity, key, priority, reasons })),
  };
}
