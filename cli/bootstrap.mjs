#!/usr/bin/env node
// The first step of `npm start` and `npm test` on a fresh checkout. Runs on Node 18 and later, without dependencies:
// installs them where they are missing or differ from package-lock.json, then runs the wanted program on Node 24.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = join(root, 'node_modules', '.bin');
const tasks = {
  dev: ['cli/millrace.mjs', 'dev'],
  test: ['test/run.ts'],
  // With the name of a program in bench/.
  bench: [],
  install: [],
};

const [task = 'dev', ...rest] = process.argv.slice(2);
if (!Object.hasOwn(tasks, task)) {
  console.error(`Usage: node cli/bootstrap.mjs ${Object.keys(tasks).join(' | ')} [arguments]`);
  process.exit(2);
}
if (!isInstalled()) install();
if (task === 'bench') rest.splice(0, 1, benchmark(rest[0]));
if (task !== 'install') run([...tasks[task], ...rest]);

function benchmark(name) {
  const path = `bench/${name}.ts`;
  if (name !== undefined && existsSync(join(root, path))) return path;
  const names = readdirSync(join(root, 'bench')).filter((file) => /^[^.]+\.ts$/.test(file) && file !== 'harness.ts');
  console.error(`Usage: npm run bench -- ${names.map((file) => file.slice(0, -3)).join(' | ')}`);
  process.exit(2);
}

/** Whether node_modules holds the versions of the lock file. Times of files say nothing about that after a checkout. */
function isInstalled() {
  try {
    const read = (path) => JSON.parse(readFileSync(join(root, path), 'utf8')).packages;
    const installed = read('node_modules/.package-lock.json');
    return Object.entries(read('package-lock.json')).every(
      ([path, wanted]) => path === '' || !isNeeded(wanted) || installed[path]?.version === wanted.version,
    );
  } catch {
    return false;
  }
}

/** Optional packages are needed where they are the native part of another for just this platform. */
function isNeeded({ optional, os, cpu, libc }) {
  if (!optional) return true;
  if (!os?.includes(process.platform) || !cpu?.includes(process.arch)) return false;
  return libc === undefined || libc.includes(process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl');
}

function install() {
  console.error('Installing dependencies (npm ci)…');
  const clean = npm('ci');
  if (clean.status === 0) return;
  // A mirror without the packages of other platforms makes npm write lock files that its `ci` refuses
  // (see .ci/complete-lock.mjs); `install` takes the same versions, and with --no-save leaves the lock file alone.
  const lenient = /from lock file/.test(clean.output) ? npm('install', '--no-save') : clean;
  if (lenient.status === 0) return;
  console.error(`${clean.output}\nnpm ci failed: see above. It needs a reachable npm registry.`);
  process.exit(1);
}

function npm(...words) {
  words.push('--no-audit', '--no-fund', '--loglevel=error');
  const [major, minor] = process.versions.node.split('.').map(Number);
  // Native packages name the Node they work with, and an older one makes npm leave them out without a word.
  const [command, ...first] = major > 20 || (major === 20 && minor >= 19) ? hostNpm() : newerNpm();
  const result = spawnSync(command, [...first, ...words], { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 });
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`;
  return { status: result.status, output };
}

/** Under `npm run` that same npm; it is a script for Node. */
function hostNpm() {
  const own = process.env.npm_execpath;
  return own?.endsWith('.js') ? [process.execPath, own] : ['npm'];
}

/** Node 24 with an npm of its age, from the registry through the host's npm. */
function newerNpm() {
  const folder = join(root, '.cache', 'bootstrap');
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const name = `node${process.platform === 'darwin' && process.arch === 'arm64' ? '-bin' : ''}-${process.platform}-${process.arch}`;
  const node = join(folder, 'node_modules', name, 'bin', 'node');
  if (!existsSync(node)) {
    mkdirSync(folder, { recursive: true });
    const [command, ...first] = hostNpm();
    const wanted = [`${name}@${packages['node_modules/node'].version}`, 'npm@11'];
    const words = [
      'install',
      '--no-save',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
      '--prefix',
      folder,
      ...wanted,
    ];
    const result = spawnSync(command, [...first, ...words], { cwd: folder, encoding: 'utf8' });
    if (!existsSync(node)) {
      console.error(`${result.stdout ?? ''}${result.stderr ?? ''}\nPlease install Node 20.19 or later.`);
      process.exit(1);
    }
  }
  return [node, join(folder, 'node_modules', 'npm', 'bin', 'npm-cli.js')];
}

/** Node 24 from the dev dependency; the host's own where npm has none for this platform. */
function nodeProgram() {
  const own = join(bin, 'node');
  if (!existsSync(own) && Number(process.versions.node.split('.')[0]) < 24) {
    console.error(`Millrace needs Node 24 or later; this is ${process.version}, and npm installed none (${own}).`);
    process.exit(1);
  }
  return existsSync(own) ? own : process.execPath;
}

/** Passes signals on and ends as the program ends. The scripts say `exec`, so that a signal to npm comes here, not to a shell. */
function run(args) {
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` };
  const child = spawn(nodeProgram(), args, { cwd: root, stdio: 'inherit', env });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // Ctrl-C in a terminal reaches the whole group already; a second SIGINT would mean "at once".
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  // An npm that was killed tells nobody; without it there is no terminal left to stop us from.
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.env.npm_lifecycle_event === undefined || process.ppid === parent) return;
    clearInterval(watch);
    child.kill('SIGTERM');
  }, 500);
  child.on('error', (error) => {
    console.error(error.message);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}
