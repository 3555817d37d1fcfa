/**
 * What the feed tells a session. All of these only note something down; `wake` follows once per commit, when everything of it is noted,
 * so that a session sees a commit at once or not at all (G1).
 */
export interface Follower {
  /** A lookup key that this session's buckets depend on has changed: resolve again. */
  lookupsChanged(): void;
  /** A write checkpoint of this session's (user, client) was reached. */
  writeCheckpointReached(): void;
  /** Something of the above, a bucket of this session, or the active version has changed. */
  wake(): void;
}

/** A session's hold on one bucket. */
export interface BucketHolder {
  readonly follower: Follower;
  /** The bucket's totals are different from before. */
  bucketChanged(): void;
}
