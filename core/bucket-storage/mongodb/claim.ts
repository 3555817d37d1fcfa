import type { Clock } from '../../platform/clock.ts';
import type { StorageClaim } from '../claim.ts';
import type { Collections } from './documents.ts';
import { coded, isDuplicateKey } from './failure.ts';

const ID = 'claim';
const DURABLE = { writeConcern: { w: 'majority' } } as const;

/** See ../claim.ts. One document; its collection comes to be with it. */
export function createClaim({ claim }: Collections, clock: Clock): StorageClaim {
  const owner = async (): Promise<string | null> => {
    const found = await claim.findOne({ _id: ID }, { readConcern: { level: 'majority' } });
    return found?.instance ?? null;
  };
  const take = async (instance: string): Promise<string> => {
    const first = { $setOnInsert: { instance, claimedMs: clock.now() } };
    await claim.updateOne({ _id: ID }, first, { upsert: true, ...DURABLE }).catch((error: unknown) => {
      // another one came at the same moment
      if (!isDuplicateKey(error)) throw error;
    });
    return (await owner()) ?? take(instance);
  };
  return {
    owner: () => coded(owner),
    take: (instance) => coded(() => take(instance)),
    release: (instance) => coded(async () => void (await claim.deleteOne({ _id: ID, instance }, DURABLE))),
  };
}
