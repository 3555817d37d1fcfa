import { join } from 'node:path';
import { embeddedPrograms, unprivilegedUser, type PostgresPrograms } from '../../cli/dev/embedded-programs.ts';
import { alone } from './alone.ts';
import { environmentNames } from './contract.ts';
import { installDebianPackages, isExecutable } from './install.ts';

export type { PostgresPrograms };

export const newestPostgres = 18;

/** Finds or installs one major version: 18 comes with `npm ci`, others from the system's packages. */
export async function postgresPrograms(version: number): Promise<PostgresPrograms> {
  const embedded = version === newestPostgres ? await embeddedPrograms(alone) : undefined;
  if (embedded !== undefined) return embedded;
  return { user: await unprivilegedUser(), folder: (await systemFolder(version)) ?? (await installedFolder(version)) };
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
