/** `millrace teardown TEARDOWN` (O-7): removes what this instance created in its sources and in bucket storage. */
import type { BucketStorage } from '#core/bucket-storage/contract.ts';
import { realClock, type Clock } from '#core/platform/clock.ts';
import type { ConfigFlags } from '#core/platform/config/load.ts';
import type { ServiceConfig, SourceConnection } from '#core/platform/config/service-config.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { Logger } from '#core/platform/logging.ts';
import { within } from '#core/platform/within.ts';
import { openSourceToAsk } from './ask-source.ts';
import { assertOwned } from './claim.ts';
import { openStorage } from './instance.ts';
import { loadForCommand } from './one-shot.ts';
import { isOlderSchema } from './storage-part.ts';

export interface TeardownOptions {
  /** Wins over `system.instance_id`. */
  readonly instance?: string;
  /** Only slots and the claim go; what is stored stays for the next instance that claims it, which copies everything again beside it. */
  readonly keepStorage: boolean;
  /** While a slot remains, bucket storage stays as it is: it knows the names of the slots, for the next attempt. */
  readonly slotsFirst: boolean;
  readonly timeoutSeconds: number;
}

/** Kept back of the time for bucket storage, when a source does not answer. */
const STORAGE_SHARE = 1 / 3;
const STORAGE_MOST_MS = 20_000;
const RETRY_MS = 1000;
/** What hangs is given up, not waited for. */
const CLOSING_MS = 2000;

interface Teardown {
  readonly config: ServiceConfig;
  readonly log: Logger;
  readonly clock: Clock;
  readonly storage: BucketStorage;
  /** Until then slots that could not be dropped are tried again. */
  readonly slotsUntil: number;
}

/**
 * Can be repeated, also after it was killed at any point. Ends within the timeout. Throws PSYNC_S0106 for the storage of another instance,
 * PSYNC_S1120 with the names of slots that remain, PSYNC_S0107 when it ran out of time.
 */
export async function teardown(
  confirmation: string | undefined,
  flags: ConfigFlags,
  { instance: named, keepStorage, slotsFirst, timeoutSeconds }: TeardownOptions,
): Promise<void> {
  if (confirmation !== 'TEARDOWN') {
    throw codedError(
      'PSYNC_S0102',
      'Nothing was removed. To destroy the buckets and replication slots of this instance, run: millrace teardown TEARDOWN',
    );
  }
  const clock = realClock;
  const timeoutMs = timeoutSeconds * 1000;
  const end = clock.monotonic() + timeoutMs;
  const { config, log } = await loadForCommand(flags);
  const instance = named ?? config.instanceId;
  const late = new AbortController();
  const timer = clock.setTimer(timeoutMs, () => late.abort(tooLate(timeoutSeconds)), { keepAlive: true });
  const inTime = <T>(work: Promise<T>): Promise<T> => Promise.race([work, rejectedBy(late.signal)]);
  let storage: BucketStorage | null = null;
  try {
    storage = await inTime(openStorage(config, log, clock));
    await inTime(assertOwned(storage, instance));
    const slotsUntil = end - Math.min(timeoutMs * STORAGE_SHARE, STORAGE_MOST_MS);
    const remaining = await inTime(dropSlots({ config, log, clock, storage, slotsUntil }));
    if (remaining.length > 0 && slotsFirst) {
      throw codedError(
        'PSYNC_S1120',
        `These replication slots remain in the source and keep its WAL: ${remaining.join(', ')}. Bucket storage was left as it is; run the command again when the source answers.`,
      );
    }
    if (!keepStorage) await inTime(storage.destroy());
    else if (instance !== undefined) await inTime(storage.claim.release(instance));
    log.info({ remaining }, keepStorage ? 'Bucket storage is kept, and free to be claimed' : 'Removed bucket storage');
    if (remaining.length > 0) {
      throw codedError(
        'PSYNC_S1120',
        `These replication slots remain in the source and keep its WAL; drop them by hand: ${remaining.join(', ')}`,
      );
    }
  } finally {
    timer.cancel();
    if (storage !== null) await within(clock, CLOSING_MS, storage.close());
    setTimeout(() => process.exit(), 500).unref();
  }
}

/** All slots that storage knows of, of all versions. Answers those that remain, `slot (source)`. */
async function dropSlots(teardown: Teardown): Promise<string[]> {
  const { config, storage } = teardown;
  await storage.migrate();
  const tags = await tagsOf(storage);
  // A teardown before this one came so far.
  if (tags === null) return [];
  const { connections } = config.replication;
  const known = connections.map(async (connection) => dropSlotsOf(connection, teardown));
  const unknown = [...tags].filter((tag) => !connections.some((connection) => connection.tag === tag));
  const left = unknown.map(async (tag) =>
    (await slotsOf(storage, tag)).map(({ slot }) => `${slot} (${tag}, which is not configured any more)`),
  );
  return (await Promise.all([...known, ...left])).flat();
}

/** Tags of all sources that storage knows; null: its schema is gone. */
async function tagsOf(storage: BucketStorage): Promise<ReadonlySet<string> | null> {
  try {
    const versions = await storage.configs.live();
    return new Set(versions.flatMap((version) => version.streams.map(({ source }) => source)));
  } catch (error) {
    if (isOlderSchema(error)) return null;
    throw error;
  }
}

/** With slots of versions that ended and were not cleaned up yet. */
async function slotsOf(storage: BucketStorage, tag: string): Promise<{ readonly id: number; readonly slot: string }[]> {
  const live = (await storage.configs.live()).flatMap(({ streams }) => streams.filter(({ source }) => source === tag));
  const ended = await storage.configs.abandonedStreams(tag);
  const slots = new Map([...live, ...ended].map(({ id, slot }) => [id, { id, slot }]));
  return [...slots.values()].filter(({ slot }) => slot !== '');
}

async function dropSlotsOf(connection: SourceConnection, teardown: Teardown): Promise<string[]> {
  const { storage, log, clock, slotsUntil } = teardown;
  // Taking over ends whoever still leads, so that no slot is in use.
  await storage.takeOver(connection.tag, `teardown/${process.pid}`);
  const source = openSourceToAsk(connection, log);
  try {
    let waiting = (await slotsOf(storage, connection.tag)).map(({ slot }) => slot);
    for (;;) {
      const failed: string[] = [];
      for (const slot of waiting) {
        const dropping = source.dropCursor(slot).then(
          () => true,
          (error: unknown) => {
            log.error({ source: connection.tag, slot, err: error }, 'The replication slot could not be dropped');
            return false;
          },
        );
        const left = Math.max(0, slotsUntil - clock.monotonic());
        const dropped = (await within(clock, left, dropping)) && (await dropping);
        if (dropped) log.info({ source: connection.tag, slot }, 'Dropped a replication slot');
        else failed.push(slot);
      }
      if (failed.length === 0) return [];
      if (clock.monotonic() + RETRY_MS >= slotsUntil) return failed.map((slot) => `${slot} (${connection.tag})`);
      await clock.sleep(RETRY_MS);
      waiting = failed;
    }
  } finally {
    void source.close().catch(() => undefined);
  }
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    else signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

function tooLate(seconds: number): Error {
  return codedError(
    'PSYNC_S0107',
    `The teardown was not finished within ${seconds} s. Run it again, with a longer --timeout if bucket storage is large or slow; what is gone already does no harm.`,
  );
}
