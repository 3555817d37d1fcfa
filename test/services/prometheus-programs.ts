import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { alone } from './alone.ts';
import { findProgram, serversFolder, unpackDebianPackage } from './install.ts';

/** Full paths of the two programs of Prometheus, 2.42 or newer. */
export type PrometheusPrograms = { prometheus: string; promtool: string };

let found: Promise<PrometheusPrograms> | undefined;

/**
 * Prometheus and promtool: on the PATH, else unpacked from the Debian package, which is not installed, so that no service
 * starts and nothing of the machine changes. Throws a message that says what to do by hand.
 */
export function prometheusPrograms(): Promise<PrometheusPrograms> {
  found ??= locate();
  return found;
}

async function locate(): Promise<PrometheusPrograms> {
  const folder = join(serversFolder(), 'prometheus');
  const find = async (): Promise<PrometheusPrograms | undefined> => {
    const folders = ['/opt/homebrew/bin', join(folder, 'usr', 'bin')];
    const [prometheus, promtool] = await Promise.all(
      ['prometheus', 'promtool'].map((name) => findProgram(name, folders)),
    );
    return prometheus === undefined || promtool === undefined ? undefined : { prometheus, promtool };
  };
  const unpack = async () => {
    const present = await find();
    if (present !== undefined) return present;
    const hint = 'Debian: apt-get install prometheus; macOS: brew install prometheus';
    const partial = `${folder}.partial-${process.pid}`;
    try {
      await mkdir(partial, { recursive: true });
      await unpackDebianPackage('prometheus', partial, { what: 'Prometheus', variable: 'PATH', hint });
      await rm(folder, { recursive: true, force: true });
      await rename(partial, folder);
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
    const unpacked = await find();
    if (unpacked === undefined) throw new Error('The prometheus package holds no prometheus and promtool.');
    return unpacked;
  };
  return (await find()) ?? alone('prometheus', unpack);
}
