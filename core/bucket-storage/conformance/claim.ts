import { describe, expect, test } from 'vitest';
import { activate } from './content.ts';
import { type StorageFactory, withInstance } from './factory.ts';

/** Whose a storage is (O-69). */
export function claim(factory: StorageFactory): void {
  describe('claim', () => {
    test('nobody owns a storage before it is migrated, nor before it is claimed', async () => {
      const instance = await factory.createInstance();
      const storage = await factory.open({ url: instance.url });
      try {
        expect(await storage.claim.owner()).toBeNull();
        await storage.migrate();
        expect(await storage.claim.owner()).toBeNull();
      } finally {
        await storage.close();
        await instance.drop();
      }
    });

    test('the first one wins, for all processes; it may claim again, and nobody else can give it up', () =>
      withInstance(factory, async ({ storage, open }) => {
        const other = await open();
        expect(await storage.claim.take('one')).toBe('one');
        expect(await storage.claim.take('one')).toBe('one');
        expect(await other.claim.take('two')).toBe('one');
        await other.claim.release('two');
        expect(await other.claim.owner()).toBe('one');
        await storage.claim.release('one');
        expect(await other.claim.owner()).toBeNull();
        expect(await other.claim.take('two')).toBe('two');
      }));

    test('of many at once one wins, and all hear which', () =>
      withInstance(factory, async ({ open }) => {
        const storages = await Promise.all(Array.from({ length: 5 }, () => open()));
        const answers = await Promise.all(storages.map((storage, at) => storage.claim.take(`instance-${at}`)));
        expect(new Set(answers).size).toBe(1);
        expect(await storages[0]!.claim.owner()).toBe(answers[0]);
      }));

    test('it ends with the storage, which can be destroyed again and again, and made anew (O-7)', () =>
      withInstance(factory, async ({ storage }) => {
        await storage.claim.take('one');
        await activate(storage);
        await storage.destroy();
        expect(await storage.claim.owner()).toBeNull();
        await storage.destroy();
        await storage.migrate();
        expect(await storage.claim.take('two')).toBe('two');
        await activate(storage);
      }));
  });
}
