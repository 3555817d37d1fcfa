/**
 * Whose this storage is. Two instances must never share one (O-69): each would serve, and one day destroy, what the other wrote. A claim is
 * made once, by name, and stays until the storage is destroyed or the claim is given up; storage that nobody claimed works as ever.
 */
export interface StorageClaim {
  /** Null: nobody's, also before it was migrated. */
  owner(): Promise<string | null>;
  /** Claims it when it is nobody's. Answers whose it is then: of several that try at once one wins. Needs a migrated storage. */
  take(instance: string): Promise<string>;
  /** Gives it up; changes nothing when it is another's. */
  release(instance: string): Promise<void>;
}
