/** What an implementation of bucket storage gives to the conformance suite. */
import type { Clock } from '#core/platform/clock.ts';
import type { BucketStorage } from '../contract.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Everything an opener needs, as JSON: it also travels to child processes. */
export interface OpenRequest {
  /** The instance: a database or schema of its own. */
  readonly url: string;
  /** Where to connect to instead, when a test stands between storage and server. */
  readonly address?: Address;
}

/** One empty instance of bucket storage, not migrated yet. */
export interface TestInstance {
  readonly url: string;
  /** Where the server listens. */
  readonly address: Address;
  /** Removes it from the server. */
  drop(): Promise<void>;
}

export interface StorageFactory {
  readonly name: BucketStorage['kind'];
  createInstance(): Promise<TestInstance>;
  /** Opens it as one process would. Storages of the same instance share nothing but the database. */
  open(request: OpenRequest, clock?: Clock): Promise<BucketStorage>;
  /**
   * URL of a module that exports `open(request: OpenRequest): Promise<BucketStorage>`; loaded by child processes that are stopped and
   * killed.
   */
  readonly openerModule: string;
}

/** An instance with storages that are closed when the test ends. */
export interface Bench {
  readonly factory: StorageFactory;
  readonly instance: TestInstance;
  /** The first storage, migrated. */
  readonly storage: BucketStorage;
  /** One more process. */
  open(address?: Address, clock?: Clock): Promise<BucketStorage>;
}

/** Runs `work` with a migrated instance of its own. */
export async function withInstance(factory: StorageFactory, work: (bench: Bench) => Promise<void>): Promise<void> {
  const instance = await factory.createInstance();
  const opened: BucketStorage[] = [];
  const open = async (address?: Address, clock?: Clock): Promise<BucketStorage> => {
    const storage = await factory.open({ url: instance.url, ...(address && { address }) }, clock);
    opened.push(storage);
    return storage;
  };
  try {
    const storage = await open();
    await storage.migrate();
    await work({ factory, instance, storage, open });
  } finally {
    await Promise.allSettled(opened.map((storage) => storage.close()));
    await instance.drop();
  }
}
