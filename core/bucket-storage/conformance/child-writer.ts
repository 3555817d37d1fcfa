/** Child process of stopped-process.ts: takes a source over and commits rows until it is stopped, killed or fenced. */
import { isCodedError } from '#core/platform/errors/coded-error.ts';
import type { BucketRef, BucketStorage, FlushBatch } from '../contract.ts';
import { batchOf, commitAt, rowsFor } from './content.ts';
import type { OpenRequest } from './factory.ts';

export interface ChildJob {
  readonly openerModule: string;
  readonly request: OpenRequest;
  readonly source: string;
  readonly stream: number;
  readonly bucket: BucketRef;
  /** Rows per commit. */
  readonly rows: number;
  /** In the build of the n-th flush (from 1), inside the storage transaction, it stops. */
  readonly pauseInBuild?: number;
}

export type ChildReport =
  | { readonly kind: 'stopping' }
  | { readonly kind: 'flushed'; readonly count: number }
  | { readonly kind: 'failed'; readonly code: string };

const report = (message: ChildReport): Promise<void> =>
  new Promise((resolve) => process.send!(message, () => resolve()));

async function run(job: ChildJob): Promise<void> {
  const opener = (await import(job.openerModule)) as { open(request: OpenRequest): Promise<BucketStorage> };
  const storage = await opener.open(job.request);
  const writer = await storage.takeOver(job.source, `child ${process.pid}`);
  for (let count = 1; ; count++) {
    const position = `child${count}`;
    const rows = rowsFor(job.bucket, `${process.pid}-${count}-`, job.rows);
    const batch = await batchOf(writer, job.stream, { rows, chunkSize: 3 }, commitAt(position));
    await writer.flush(count === job.pauseInBuild ? stopping(batch) : batch);
    await report({ kind: 'flushed', count });
  }
}

/** `build` runs inside the storage transaction: stopping here leaves it open. */
function stopping(batch: FlushBatch): FlushBatch {
  let stopped = false;
  return {
    ...batch,
    build(firstOp) {
      if (!stopped) {
        stopped = true;
        process.send!({ kind: 'stopping' } satisfies ChildReport);
        process.kill(process.pid, 'SIGSTOP');
      }
      return batch.build(firstOp);
    },
  };
}

try {
  await run(JSON.parse(process.argv[2]!) as ChildJob);
} catch (error) {
  await report({ kind: 'failed', code: isCodedError(error) ? error.code : String(error) });
}
// Stays until it is killed, so that its connections do.
setInterval(() => undefined, 1000);
