import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { alone } from './alone.ts';
import { environmentNames } from './contract.ts';
import { answers, findProgram, isExecutable, serversFolder } from './install.ts';

const run = promisify(execFile);

/** How to run mysqld: these words come before all others. */
export type MysqlProgram = { readonly command: string; readonly lead: readonly string[] };

const byHand = `Either install MySQL 8 or later (https://dev.mysql.com/doc/refman/en/installing.html, with mysqld on the PATH), or start Docker, or set ${environmentNames.mysql}.`;

/** On the PATH, unpacked by an earlier run, or unpacked now. MariaDB does not count: its binlog and types are its own. */
export async function mysqlProgram(): Promise<MysqlProgram> {
  const found = await findProgram('mysqld', ['/usr/sbin', '/opt/homebrew/bin', '/usr/local/bin']);
  if (found !== undefined && (await isMysql(found))) return { command: found, lead: ['--no-defaults'] };
  return alone('mysql', async () => {
    const folder = join(serversFolder(), 'mysql');
    if (!(await isExecutable(join(folder, 'usr', 'sbin', 'mysqld')))) await unpack(folder);
    return unpacked(folder);
  });
}

async function isMysql(command: string): Promise<boolean> {
  const { stdout } = await run(command, ['--no-defaults', '--version']).catch(() => ({ stdout: 'MariaDB' }));
  return !stdout.includes('MariaDB');
}

/** The libraries it was built with stand beside it, the C library too: whatever the machine has. */
async function unpacked(folder: string): Promise<MysqlProgram> {
  const triplets = await readdir(join(folder, 'usr', 'lib'));
  const libraries = join(folder, 'usr', 'lib', triplets.find((name) => name.endsWith('-linux-gnu')) ?? '');
  const loader = (await readdir(libraries)).find((name) => /^ld-linux.*\.so/.test(name));
  if (loader === undefined) throw new Error(`MySQL in ${folder} is incomplete: remove that folder. ${byHand}`);
  const usr = join(folder, 'usr');
  const lead = [
    ...['--library-path', libraries, join(usr, 'sbin', 'mysqld'), '--no-defaults', `--basedir=${usr}`],
    `--lc-messages-dir=${join(usr, 'share', 'mysql')}`,
    `--character-sets-dir=${join(usr, 'share', 'mysql', 'charsets')}`,
  ];
  return { command: join(libraries, loader), lead };
}

/** MySQL is no package of Debian 12 but of its unstable edition, from where it is taken with everything it needs, and not installed. */
async function unpack(folder: string): Promise<void> {
  const aptGet = await findProgram('apt-get', ['/usr/bin']);
  const mirror = await debianMirror();
  if (aptGet === undefined || mirror === undefined) throw new Error(`MySQL (mysqld) is missing. ${byHand}`);
  process.stderr.write('Downloading MySQL for the tests (apt-get)…\n');
  const work = `${folder}.download-${process.pid}`;
  const root = join(work, 'root');
  try {
    for (const each of ['lists/partial', 'archives/partial', 'packages', 'root']) {
      await mkdir(join(work, each), { recursive: true });
    }
    const sources = join(work, 'unstable.sources');
    await writeFile(sources, unstableSources(mirror));
    const options = [
      ...['-o', `Dir::Etc::sourcelist=${sources}`, '-o', 'Dir::Etc::sourceparts=/dev/null'],
      ...['-o', `Dir::State::lists=${join(work, 'lists')}`, '-o', `Dir::Cache=${work}`],
      ...['-o', 'Dir::State::status=/dev/null', '-o', 'APT::Sandbox::User=root'],
    ];
    const apt = (command: string, ...words: string[]) =>
      run(command, [...options, ...words], { cwd: join(work, 'packages'), maxBuffer: 64 << 20, timeout: 15 * 60_000 });
    await apt(aptGet, '-qq', 'update');
    const { stdout } = await apt('apt-cache', 'depends', '--recurse', ...onlyHardDependencies, 'mysql-server-core');
    await apt(aptGet, '-qq', 'download', ...libraryPackages(stdout));
    for (const name of await readdir(join(work, 'packages'))) {
      await run('dpkg-deb', ['-x', join(work, 'packages', name), root]);
    }
    const { command, lead } = await unpacked(root);
    if (!(await answers(command, [...lead, '--version']))) throw new Error('mysqld does not run.');
    await rename(root, folder);
  } catch (error) {
    throw new Error(`MySQL could not be unpacked. ${byHand}\n${String(error)}`, { cause: error });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const onlyHardDependencies = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map(
  (kind) => `--no-${kind}`,
);

/** The program and libraries, not the tools that packages use when they are installed. */
function libraryPackages(dependencies: string): string[] {
  const names = dependencies.split('\n').filter((line) => /^(?:lib|mysql-server-core|zlib1g)/.test(line));
  return [...new Set(names)].filter((name) => !/^libperl|-doc$/.test(name));
}

function unstableSources(mirror: string): string {
  const key = '/usr/share/keyrings/debian-archive-keyring.gpg';
  return `Types: deb\nURIs: ${mirror}\nSuites: sid\nComponents: main\nSigned-By: ${key}\n`;
}

/** The mirror that this machine uses. */
async function debianMirror(): Promise<string | undefined> {
  const folder = '/etc/apt/sources.list.d';
  const names = await readdir(folder).catch(() => []);
  for (const path of ['/etc/apt/sources.list', ...names.map((name) => join(folder, name))]) {
    const text = await readFile(path, 'utf8').catch(() => '');
    const address = /https?:\/\/\S*\/debian\/?(?=\s|$)/.exec(text.replace(/^\s*#.*$/gm, ''));
    if (address !== null) return address[0];
  }
  return undefined;
}
