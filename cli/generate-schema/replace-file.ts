import { chmod, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { codedError } from '#core/platform/errors/coded-error.ts';

/**
 * Writes a file whole or not at all: at every moment the old or the new content is there. A link keeps pointing where it does, a file keeps
 * its permissions. Throws `PSYNC_S0103`.
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  try {
    const target = await realpath(path).catch(() => path);
    const known = await stat(target).catch(() => null);
    // A device or a pipe takes text, and cannot be replaced.
    if (known !== null && !known.isFile()) return await writeFile(target, text);
    const half = `${target}.${process.pid}.part`;
    try {
      await writeFile(half, text);
      if (known !== null) await chmod(half, known.mode);
      await rename(half, target);
    } catch (error) {
      await rm(half, { force: true });
      throw error;
    }
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown reason';
    throw codedError('PSYNC_S0103', `Cannot write ${path} (${reason}): check path and permissions`, { cause });
  }
}
