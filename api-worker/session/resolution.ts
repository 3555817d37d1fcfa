/** Which streams, buckets and lookups a session has, as of one op. */
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { StreamEntry } from '#core/protocol/lines.ts';
import type { ResolvedSession, UsedLookup } from '#core/sync-config/contract.ts';
import type { ActiveVersion } from '../feed/active-version.ts';
import type { Current, Feed } from '../feed/feed.ts';
import type { Follower } from '../feed/follower.ts';
import type { LookupEntry } from '../feed/lookup-cache.ts';
import type { SessionLimits, SyncRequest } from './contract.ts';

export interface Resolution {
  readonly op: number;
  readonly version: ActiveVersion;
  readonly streams: readonly StreamEntry[];
  /** To tell whether the list differs from what the client has. */
  readonly streamsText: string;
  /** Asked for, and not in the sync config (S-65): the client shows them as inactive. */
  readonly unknownStreams: readonly string[];
  /** Followed; whoever drops the resolution unfollows them. */
  readonly lookups: Set<LookupEntry>;
}

export interface Resolved {
  readonly resolution: Resolution;
  readonly resolved: ResolvedSession;
}

/** Resolves at `current`, and follows every lookup that it read. Rejects with PSYNC_S2305 where limits are passed; then nothing is followed. */
export async function resolveSession(
  { feed, follower, limits }: { readonly feed: Feed; readonly follower: Follower; readonly limits: SessionLimits },
  request: SyncRequest,
  { op, version }: Current,
): Promise<Resolved> {
  const lookups = new Set<LookupEntry>();
  const read = (keys: readonly UsedLookup[]): Promise<readonly (readonly string[])[]> =>
    feed.readLookups(
      keys.map(({ identity, key }) => ({ lookup: lookupId(version, identity), key })),
      op,
      follower,
      lookups,
    );
  try {
    const resolved = await version.resolver.resolve(request, read, {
      maxBuckets: limits.maxBuckets,
      maxParameterResults: limits.maxParameterResults,
    });
    const streams = resolved.streams.map(({ name, isDefault, errors }) => ({ name, isDefault, errors }));
    const streamsText = JSON.stringify(streams);
    const unknownStreams = unknownOf(request, streams);
    return { resolution: { op, version, streams, streamsText, unknownStreams, lookups }, resolved };
  } catch (error) {
    for (const entry of lookups) feed.unfollowLookup(entry, follower);
    throw error;
  }
}

function unknownOf({ subscriptions }: SyncRequest, streams: readonly StreamEntry[]): string[] {
  const known = new Set(streams.map(({ name }) => name));
  return [...new Set(subscriptions.map(({ stream }) => stream).filter((name) => !known.has(name)))];
}

function lookupId(version: ActiveVersion, identity: string): number {
  const id = version.lookups.get(identity);
  if (id === undefined) {
    throw codedError(
      'PSYNC_S0001',
      'The plan of the active sync config names a lookup definition that was not deployed with it.',
    );
  }
  return id;
}
