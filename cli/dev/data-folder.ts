/** Where `millrace dev` keeps its data: one folder per checkout, held by one process at a time. */
import { createHash } from 'node:crypto';
import { access, chmod, chown, constants, lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { codedError } from '#core/platform/errors/coded-error.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * The folder, private to its owner. Root's is under /var/tmp, because its Postgres runs as another user, who may not enter the checkout;
 * others keep it in the checkout, or under their home where the checkout is not theirs to write.
 */
export async function openDataFolder(project: string, owner: Owner | undefined): Promise<string> {
  const folder = await dataFolderOf(project, owner);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const present = await lstat(folder);
  const wanted = owner?.uid ?? process.getuid?.();
  // Everybody may write to /var/tmp: a folder that somebody else put there is not used.
  if (!present.isDirectory() || (present.uid !== process.getuid?.() && present.uid !== wanted)) {
    throw codedError('PSYNC_S0121', `${folder} belongs to somebody else. Remove it, then start again.`);
  }
  if (owner) await chown(folder, owner.uid, owner.gid);
  await chmod(folder, 0o700);
  return folder;
}

/** Where it is, or will be. */
export async function dataFolderOf(project: string, owner: Owner | undefined): Promise<string> {
  const name = `dev-${createHash('sha1').update(project).digest('hex').slice(0, 8)}`;
  if (owner) return `/var/tmp/millrace-${name}`;
  const cache = join(project, '.cache');
  const isOurs = await mkdir(cache, { recursive: true })
    .then(() => access(cache, constants.W_OK))
    .then(
      () => true,
      () => false,
    );
  return isOurs ? join(cache, 'dev') : join(homedir(), '.cache', 'millrace', name);
}

/**
 * Makes this process the only one on the folder until `release`.
 *
 * @param holder told to whoever comes while we hold it, for example the address of the page
 * @throws PSYNC_S0121 with the holder's, when another process holds it
 */
export async function holdFolder(folder: string, holder: string): Promise<{ release(): Promise<void> }> {
  const file = join(folder, 'held-by');
  const text = `${process.pid}\n${holder}\n`;
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(file, text, { flag: 'wx', mode: 0o600 });
      return { release: () => rm(file, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt > 1) throw error;
    }
    const [pid = '', other = ''] = (await readFile(file, 'utf8').catch(() => '')).split('\n');
    if (await isMillrace(Number(pid))) {
      throw codedError(
        'PSYNC_S0121',
        `millrace dev already runs in this checkout (${other}, process ${pid}). Stop it first.`,
      );
    }
    // Left by a process that was killed.
    await rm(file, { force: true });
  }
}

async function isMillrace(pid: number): Promise<boolean> {
  if (!(pid > 0) || pid === process.pid) return false;
  const command = await commandOf(pid);
  return command === null ? false : command === undefined || command.includes('millrace');
}

/** Null: no such process; undefined: there is one, but this system does not tell which. */
export async function commandOf(pid: number): Promise<string | null | undefined> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return null;
  }
  return readFile(`/proc/${pid}/cmdline`, 'utf8').then(
    (text) => text.replaceAll('\0', ' '),
    () => undefined,
  );
}
