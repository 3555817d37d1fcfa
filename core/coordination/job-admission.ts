import { codedError } from '#core/platform/errors/coded-error.ts';
import type { JobLimits } from './environment.ts';

/** The data of a job as JSON text; throws PSYNC_S2504 when key or data are over their limits. */
export function admitJob(limits: JobLimits, name: string, key: string, data: unknown): string {
  if (key.length === 0 || key.length > limits.maxKeyLength) {
    throw codedError('PSYNC_S2504', `The key of a "${name}" job must have 1 to ${limits.maxKeyLength} characters.`);
  }
  const text = JSON.stringify(data ?? null);
  const bytes = Buffer.byteLength(text);
  if (bytes > limits.maxBytes) {
    throw codedError(
      'PSYNC_S2504',
      `The data of a "${name}" job have ${bytes} bytes, allowed are ${limits.maxBytes}. Store them elsewhere and name the place.`,
    );
  }
  return text;
}

/** Throws PSYNC_S2504 when as many jobs of this name wait as may wait. */
export function admitAnother(limits: JobLimits, name: string, waiting: number): void {
  if (waiting < limits.maxWaiting) return;
  throw codedError(
    'PSYNC_S2504',
    `${waiting} "${name}" jobs are waiting and no more are taken. Check that a compactor is running; add the job again later.`,
  );
}
