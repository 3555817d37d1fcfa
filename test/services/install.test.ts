import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { findProgram, installDebianPackages } from './install.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-install-'));
  vi.stubEnv('PATH', `${folder}:${process.env['PATH'] ?? ''}`);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

async function program(name: string, script: string): Promise<void> {
  await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`);
  await chmod(join(folder, name), 0o755);
}

const calls = () => readFile(join(folder, 'calls'), 'utf8');
const byHand = { what: 'Thing', variable: 'THING_URL', hint: 'apt-get install thing' };
const asUser = (uid: number) => vi.spyOn(process as { getuid: () => number }, 'getuid').mockReturnValue(uid);
const quiet = () => vi.spyOn(process.stderr, 'write').mockReturnValue(true);

describe('a Debian package', () => {
  test('is installed by root directly, after the lists were read', async () => {
    asUser(0);
    const said = quiet();
    await program('apt-get', `echo "$DEBIAN_FRONTEND $*" >> ${folder}/calls`);
    await installDebianPackages(['thing'], byHand);
    const [update, install] = (await calls()).split('\n');
    expect(update).toMatch(/^noninteractive .* update$/);
    expect(install).toMatch(/^noninteractive .* install -y --no-install-recommends thing$/);
    expect(said).toHaveBeenCalledWith('Installing thing for the tests (apt-get)…\n');
  });

  test('is installed by others through sudo, where that asks for no password', async () => {
    asUser(1000);
    quiet();
    await program('sudo', `echo "$*" >> ${folder}/calls; exit 0`);
    await program('apt-get', 'exit 1');
    await installDebianPackages(['thing'], byHand);
    expect(await calls()).toMatch(/^-n true\n-n env .* update\n-n env .* install .* thing\n$/);
  });

  test('that nobody may install is asked for, with the ways to get it', async () => {
    asUser(1000);
    await program('sudo', 'exit 1');
    await program('apt-get', 'exit 0');
    await expect(installDebianPackages(['thing'], byHand)).rejects.toThrow(
      'Thing is missing and could not be installed. Either install it (apt-get install thing), or start Docker, or set THING_URL.',
    );
  });

  test('that apt does not have is reported with what apt said', async () => {
    asUser(0);
    quiet();
    await program('apt-get', 'echo "E: Unable to locate package thing" >&2; exit 100');
    await expect(installDebianPackages(['thing'], byHand)).rejects.toThrow(/Unable to locate package thing$/);
  });
});

test('a program is found on the PATH, else in the further folders, and only if it may be run', async () => {
  await writeFile(join(folder, 'plain'), '');
  await program('runs', '');
  expect(await findProgram('runs')).toBe(join(folder, 'runs'));
  expect(await findProgram('plain')).toBeUndefined();
  vi.stubEnv('PATH', '');
  expect(await findProgram('runs')).toBeUndefined();
  expect(await findProgram('runs', ['/nowhere', folder])).toBe(join(folder, 'runs'));
});
