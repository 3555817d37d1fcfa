/** A resolver whose plan is plain data, for tests: a stream has buckets with fixed keys, of the user, or found by a lookup. */
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { CreateSessionResolver, ResolvedBucket, SessionResolver } from '#core/sync-config/contract.ts';

export interface FakeStream {
  readonly name: string;
  readonly identity: string;
  readonly priority: number;
  readonly autoSubscribe: boolean;
  /** `user`: one bucket keyed by the user. `lookup`: one for each result of the lookup for the user. A list: these keys. */
  readonly keys: 'user' | { readonly lookup: string } | readonly string[];
}
export interface FakePlan {
  readonly streams: readonly FakeStream[];
}

export const createFakeResolver: CreateSessionResolver = (plan) => {
  const { streams } = plan as unknown as FakePlan;
  const resolver: SessionResolver = {
    async resolve(request, read, limits) {
      const buckets = new Map<string, ResolvedBucket>();
      const lookups: { identity: string; key: string }[] = [];
      const subscribed: {
        name: string;
        isDefault: boolean;
        errors: { subscription: 'default' | number; message: string }[];
      }[] = [];
      for (const stream of streams) {
        const subscriptions = request.subscriptions.flatMap((item, index) =>
          item.stream === stream.name ? [{ ...item, index }] : [],
        );
        const isDefault = stream.autoSubscribe && request.includeDefaults;
        if (!isDefault && subscriptions.length === 0) continue;
        const reasons = [
          ...(isDefault ? [{ default: subscribed.length }] : []),
          ...subscriptions.map(({ index }) => ({ sub: index })),
        ];
        const errors = subscriptions
          .filter(({ parameters }) => parameters !== null && typeof parameters !== 'object')
          .map(({ index }) => ({ subscription: index, message: 'parameters must be an object' }));
        subscribed.push({ name: stream.name, isDefault, errors });
        const priority = Math.min(
          ...[
            isDefault ? stream.priority : 3,
            ...subscriptions.map((item) => item.overridePriority ?? stream.priority),
          ],
        );
        let keys: readonly string[];
        if (stream.keys === 'user') keys = [JSON.stringify([request.userId])];
        else if ('lookup' in stream.keys) {
          const used = { identity: stream.keys.lookup, key: JSON.stringify([request.userId]) };
          lookups.push(used);
          const [values = []] = await read([used]);
          keys = [
            ...new Set(
              values.flatMap((text) => (JSON.parse(text) as unknown[][]).map((tuple) => JSON.stringify(tuple))),
            ),
          ];
        } else keys = stream.keys;
        for (const key of keys)
          buckets.set(`${stream.identity}${key}`, { identity: stream.identity, key, priority, reasons });
      }
      if (buckets.size > limits.maxBuckets)
        throw codedError('PSYNC_S2305', `Too many buckets: ${buckets.size} (limit of ${limits.maxBuckets})`);
      return { buckets: [...buckets.values()], streams: subscribed, lookups };
    },
  };
  return resolver;
};
