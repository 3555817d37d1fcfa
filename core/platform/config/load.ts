import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { codedError } from '../errors/coded-error.ts';
import { MAX_CONFIG_BYTES, parseConfigDocument, type Environment } from './document.ts';
import { normalizeServiceConfig } from './normalize.ts';
import { configurationError, formatPath, type ConfigNotice, type ConfigPath, type ConfigProblem } from './problems.ts';
import type { ServiceConfig, SyncConfigSource } from './service-config.ts';
import type { ServiceConfigKeys } from './service-schema.ts';
import { structuralProblems } from './validate.ts';

/** The flags of the command line that name a configuration (O-16). */
export interface ConfigFlags {
  /** `-c`: path of the file. */
  readonly path?: string | undefined;
  /** `-c64`: the file in base64. */
  readonly base64?: string | undefined;
  /** `-sync64`: the sync config in base64. */
  readonly syncConfigBase64?: string | undefined;
}

export interface LoadOptions {
  readonly flags?: ConfigFlags;
  readonly environment: Environment;
  /** Folder that paths of flags and variables, and those in a base64 configuration, start from. */
  readonly workingFolder: string;
  /** True for processes that replicate: a configuration without source is refused. Default false. */
  readonly needsSource?: boolean;
}

export interface LoadedConfig {
  readonly config: ServiceConfig;
  /** To be logged once logging is set up by the configuration. */
  readonly notices: readonly ConfigNotice[];
  /** What to call the configuration in messages. */
  readonly origin: string;
}

/**
 * Finds and reads the service configuration. Flags win over the environment (`POWERSYNC_CONFIG_PATH`,
 * `POWERSYNC_CONFIG_B64`, `POWERSYNC_SYNC_RULES_B64`), and base64 wins over a path (O-14 … O-16).
 *
 * Throws a coded error that lists every problem with its key and line (O-20): `PSYNC_S3220` when there is none, `S3221`
 * when it cannot be read, else the code of its problems.
 */
export async function loadServiceConfig(options: LoadOptions): Promise<LoadedConfig> {
  const { text, origin, folder } = await readConfig(options);
  const syncConfigBase64 = options.flags?.syncConfigBase64 ?? present(options.environment['POWERSYNC_SYNC_RULES_B64']);
  const parsed = parseServiceConfig(text, {
    environment: options.environment,
    folder,
    syncConfigContent: syncConfigBase64 === undefined ? undefined : fromBase64(syncConfigBase64, 'the sync config'),
    needsSource: options.needsSource ?? false,
  });
  if ('problems' in parsed) throw configurationError(origin, parsed.problems);
  return { ...parsed, origin };
}

export interface ParseOptions {
  readonly environment: Environment;
  readonly folder: string;
  readonly syncConfigContent?: string | undefined;
  readonly needsSource?: boolean;
}

export type ParsedConfig =
  | { readonly config: ServiceConfig; readonly notices: readonly ConfigNotice[] }
  | { readonly problems: readonly ConfigProblem[]; readonly notices: readonly ConfigNotice[] };

/** Checks the text of a service configuration; for `validate` and for `loadServiceConfig`. Never throws. */
export function parseServiceConfig(text: string, options: ParseOptions): ParsedConfig {
  const document = parseConfigDocument(text, options.environment);
  const problems: ConfigProblem[] = [...document.problems];
  const notices: ConfigNotice[] = [];
  if (problems.some(({ code }) => code !== 'PSYNC_S3225')) return { problems, notices };
  if (document.value === null || document.value === undefined) {
    problems.push({ code: 'PSYNC_S3222', key: '', line: 1, column: 1, message: 'is empty' });
    return { problems, notices };
  }
  problems.push(...structuralProblems(document));

  const unsound = problems.map(({ key }) => key);
  const config = normalizeServiceConfig(document.value as ServiceConfigKeys, {
    environment: options.environment,
    folder: options.folder,
    syncConfigContent: options.syncConfigContent,
    isSound: (path) => !unsound.some((key) => isWithin(key, formatPath(path))),
    report: {
      problem: (path, code, message) =>
        problems.push({ code, key: formatPath(path), ...document.locate(path), message }),
      notice: (level, path, message) => notices.push({ level, key: formatPath(path), message }),
    },
  });
  if (options.needsSource === true && config?.replication.connections.length === 0) {
    const path: ConfigPath = ['replication', 'connections'];
    const message = 'needs at least one source connection';
    problems.push({ code: 'PSYNC_S3224', key: formatPath(path), ...document.locate(path), message });
  }
  return config === null || problems.length > 0 ? { problems, notices } : { config, notices };
}

/** True when `key` is `parent` or below it, or above it. A problem of a section is one of all it holds. */
function isWithin(key: string, parent: string): boolean {
  const below = (a: string, b: string): boolean =>
    b === '' || a === b || (a.startsWith(b) && (a[b.length] === '.' || a[b.length] === '['));
  return below(key, parent) || below(parent, key);
}

interface ConfigText {
  readonly text: string;
  readonly origin: string;
  readonly folder: string;
}

async function readConfig({ flags, environment, workingFolder }: LoadOptions): Promise<ConfigText> {
  const candidates: { base64?: string | undefined; path?: string | undefined; origin: string }[] = [
    { base64: flags?.base64, origin: 'the configuration in -c64' },
    { path: flags?.path, origin: 'the configuration file' },
    { base64: present(environment['POWERSYNC_CONFIG_B64']), origin: 'the configuration in POWERSYNC_CONFIG_B64' },
    { path: present(environment['POWERSYNC_CONFIG_PATH']), origin: 'the configuration file' },
  ];
  const chosen = candidates.find(({ base64, path }) => base64 !== undefined || path !== undefined);
  if (chosen === undefined) {
    throw codedError(
      'PSYNC_S3220',
      'No service configuration: pass -c <path> or -c64 <base64>, or set POWERSYNC_CONFIG_PATH or POWERSYNC_CONFIG_B64',
    );
  }
  if (chosen.base64 !== undefined) {
    return { text: fromBase64(chosen.base64, chosen.origin), origin: chosen.origin, folder: workingFolder };
  }
  const path = resolve(workingFolder, chosen.path!);
  return { text: await readText(path, chosen.origin), origin: path, folder: dirname(path) };
}

/** An empty variable means the same as none. */
function present(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function fromBase64(text: string, what: string): string {
  const compact = text.replace(/\s+/g, '');
  const isBase64 = /^[A-Za-z0-9+/_-]*={0,2}$/.test(compact) && compact.length > 0;
  const bytes = isBase64 ? Buffer.from(compact, 'base64') : null;
  if (bytes === null) throw codedError('PSYNC_S3221', `Cannot read ${what}: it is not base64`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw codedError('PSYNC_S3221', `Cannot read ${what}: it does not decode to UTF-8 text`);
  }
}

async function readText(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown reason';
    throw codedError('PSYNC_S3221', `Cannot read ${what} ${path} (${reason}): check path and permissions`, { cause });
  }
}

/** The text of the configured sync config; `PSYNC_S3221` when its file cannot be read or is too large. */
export async function readSyncConfig(source: SyncConfigSource): Promise<string> {
  if ('content' in source.from) return source.from.content;
  const text = await readText(source.from.file, 'the sync config');
  if (Buffer.byteLength(text) <= MAX_CONFIG_BYTES) return text;
  throw codedError('PSYNC_S3221', `The sync config ${source.from.file} is larger than ${MAX_CONFIG_BYTES} bytes`);
}
