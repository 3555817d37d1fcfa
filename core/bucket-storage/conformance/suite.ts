/** Everything that both implementations of bucket storage have to pass. */
import { describe } from 'vitest';
import type { StorageFactory } from './factory.ts';
import { claim } from './claim.ts';
import { flushAndRead } from './flush-and-read.ts';
import { hugeTransaction } from './huge-transaction.ts';
import { inspection } from './inspection.ts';
import { modelBased } from './model-based.ts';
import { newRowStates } from './new-row-states.ts';
import { notices } from './notices.ts';
import { pausedWriter } from './paused-writer.ts';
import { planBeforehand } from './plan-changes.ts';
import { revocations } from './revocations.ts';
import { schema } from './schema.ts';
import { severalSources } from './several-sources.ts';
import { stoppedProcess } from './stopped-process.ts';
import { takeOver } from './take-over.ts';
import { versions } from './versions.ts';
import { writeCheckpoints } from './write-checkpoints.ts';

export function bucketStorageConformance(factory: StorageFactory): void {
  describe(`bucket storage on ${factory.name}`, () => {
    flushAndRead(factory);
    newRowStates(factory);
    notices(factory);
    severalSources(factory);
    takeOver(factory);
    versions(factory);
    planBeforehand(factory);
    writeCheckpoints(factory);
    revocations(factory);
    inspection(factory);
    schema(factory);
    claim(factory);
    pausedWriter(factory);
    stoppedProcess(factory);
    modelBased(factory);
    hugeTransaction(factory);
  });
}
