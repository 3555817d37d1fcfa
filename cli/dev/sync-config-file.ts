/** Deploys `demo/sync-config.yaml` at the start and whenever it is saved, and says what became of it. */
import { watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { formatDiagnostic, type Deployment, type SchemaWarnings } from '../deploy.ts';

/** Editors write a file in several steps. */
const SETTLE_MS = 150;

export interface SyncConfigFile {
  /** Resolves when the present content was deployed or refused. */
  start(): Promise<void>;
  /** False while nothing valid was ever deployed by this process. */
  isDeployed(): boolean;
  close(): void;
}

export interface SyncConfigFileOptions {
  readonly path: string;
  /** How it is called in messages. */
  readonly name: string;
  deploy(text: string): Promise<Deployment>;
  readonly schemaWarnings: SchemaWarnings;
  say(text: string): void;
}

/** An invalid text changes nothing: the version before it goes on, and the finding is told with its line (O-133). */
export function syncConfigFile({ path, name, deploy, schemaWarnings, say }: SyncConfigFileOptions): SyncConfigFile {
  let known: string | null = null;
  let deployed = 0;
  let looking: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | null = null;

  const look = async (): Promise<void> => {
    const text = await readFile(path, 'utf8').catch(() => null);
    // Missing or empty: an editor is in the middle of replacing it.
    if (text === null || text.trim() === '' || text === known) return;
    known = text;
    try {
      const { version, warnings } = await deploy(text);
      for (const warning of [...warnings, ...(await schemaWarnings(text, warnings))])
        say(`${name}: ${formatDiagnostic(warning)}`);
      if (deployed > 0) {
        const what =
          version.version === deployed ? 'nothing changed for the data' : `version ${version.version} is deployed`;
        say(`${name}: ${what}${version.state === 'processing' ? '; it takes over when its data are ready' : ''}`);
      }
      deployed = version.version;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      say(`${name} was not deployed${deployed > 0 ? '; the version before it goes on' : ''}. ${reason}`);
    }
  };
  const lookInTurn = (): Promise<void> => (looking = looking.then(look));
  // The folder, not the file: editors replace files.
  const watcher = watch(dirname(path), (_event, file) => {
    if (file !== null && file !== basename(path)) return;
    if (timer) clearTimeout(timer);
    timer = setTimeout(() => void lookInTurn(), SETTLE_MS);
  });
  // Without a watch the service still runs; a save then takes effect with the next start.
  watcher.on('error', (error) => say(`${name} is not watched: ${error.message}`));
  return {
    start: lookInTurn,
    isDeployed: () => deployed > 0,
    close() {
      if (timer) clearTimeout(timer);
      watcher.close();
    },
  };
}
