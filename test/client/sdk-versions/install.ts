/** Older releases of the Node SDK, each with its own lock file, installed when a test first needs them. */
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { alone } from '../../services/alone.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../..', import.meta.url));

export type SdkVersion = '0.13.0' | '0.18.8';

/** Where the module of that release can be imported from. */
export async function installSdk(version: SdkVersion): Promise<string> {
  const source = fileURLToPath(new URL(version, import.meta.url));
  const target = join(root, '.cache', 'sdk-versions', version);
  await alone(`sdk-${version}`, async () => {
    const lock = await readFile(join(source, 'package-lock.json'), 'utf8');
    const done = join(target, 'installed');
    if ((await readFile(done, 'utf8').catch(() => null)) === lock) return;
    await mkdir(target, { recursive: true });
    await cp(source, target, { recursive: true });
    // their peer is another SQLite driver; the one of Node.js does
    await run('npm', ['ci', '--legacy-peer-deps', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: target,
      timeout: 300_000,
    });
    await writeFile(done, lock);
  });
  return pathToFileURL(join(target, 'node_modules/@powersync/node/lib/index.js')).href;
}
