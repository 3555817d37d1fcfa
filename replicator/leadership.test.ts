import { expect, test } from 'vitest';
import type { BucketStorage } from '#core/bucket-storage/contract.ts';
import type { Coordination } from '#core/coordination/contract.ts';
import { createFakeClock } from '#core/platform/clock.ts';
import { createFindings } from './findings.ts';
import { createLeadership } from './leadership.ts';

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

test('a term that failed leaves nothing behind that goes on looking', async () => {
  const clock = createFakeClock();
  const looked = { clearStopped: 0, unresolved: 0 };
  const never = new AbortController();
  let revisions = 0;
  const storage = {
    configs: {
      async revision() {
        if (++revisions === 20) throw new Error('storage is gone');
        return 1;
      },
      live: async () => [],
      abandonedStreams: async () => [],
    },
    writeCheckpoints: {
      async unresolved() {
        looked.unresolved++;
        return [];
      },
    },
    async clearStopped() {
      looked.clearStopped++;
      return false;
    },
  } as unknown as BucketStorage;
  const leadership = createLeadership({
    tag: 'default',
    storage,
    coordination: { shared: true, onNudge: () => () => undefined } as Partial<Coordination> as Coordination,
    writer: {} as never,
    clock,
    log,
    signal: never.signal,
    heartbeatIntervalMs: 1000,
    healthIntervalMs: 1000,
    random: () => 0.5,
    findings: createFindings({ log, now: () => clock.now() }),
    openSource: () => {
      throw new Error('there is nothing to stream');
    },
    flushed: () => undefined,
    applied: () => undefined,
    copied: () => undefined,
    lagBytes: () => undefined,
    connected: () => undefined,
    failed: () => undefined,
    versions: () => undefined,
  });
  const term = expect(leadership.run(() => undefined)).rejects.toThrow('storage is gone');
  await clock.advance(60_000);
  await term;
  expect(looked.clearStopped).toBeGreaterThan(0);
  expect(looked.unresolved).toBeGreaterThan(0);

  expect(clock.waiting).toBe(0);
  const before = { ...looked };
  await clock.advance(60_000);
  expect(looked).toEqual(before);
});
