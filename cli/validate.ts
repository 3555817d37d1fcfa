/** `millrace validate FILE`: what deploying a sync config would say, without a running service (S-32, S-33, O-262). */
import { type ConfigFlags, loadServiceConfig, readSyncConfig } from '#core/platform/config/load.ts';
import type { SourceConnection } from '#core/platform/config/service-config.ts';
import type { Log } from '#core/platform/log.ts';
import { compileSyncConfig } from '#core/sync-config/compile.ts';
import type { Diagnostic } from '#core/sync-config/contract.ts';
import { describeDiagnostic } from '#core/sync-config/excerpt.ts';
import type { SourceTable } from '#core/sync-config/values.ts';
import { openSourceToAsk } from './ask-source.ts';
import { compileOptionsFor } from './deploy.ts';

export interface ValidateOptions {
  readonly file: string;
  /** The service configuration, whose sources' tables and columns are compared; null: only the language is checked. */
  readonly flags: ConfigFlags | null;
  readonly output: 'human' | 'json';
  readonly print: (text: string) => void;
}

/** Answers whether it may be deployed: there is no error. Warnings do not stop a deployment. */
export async function validate({ file, flags, output, print }: ValidateOptions): Promise<boolean> {
  const text = await readSyncConfig({ from: { file }, exitOnError: true, versionLabel: undefined });
  const { connections, schema, unread } = flags === null ? NO_SOURCES : await sourcesOf(flags);
  const options = compileOptionsFor(connections);
  const { diagnostics } = compileSyncConfig(text, { ...options, ...(schema === null ? {} : { schema }) });
  const errors = diagnostics.filter(({ level }) => level === 'error').length;
  const warnings = diagnostics.length - errors;
  if (output === 'json') print(json(file, diagnostics, unread));
  else {
    for (const diagnostic of diagnostics) print(describeDiagnostic(file, text, diagnostic));
    for (const reason of unread) print(`Tables and columns were not compared: ${reason}`);
    print(`${file}: ${count(errors, 'error')}, ${count(warnings, 'warning')}`);
  }
  return errors === 0;
}

interface Sources {
  readonly connections: readonly SourceConnection[];
  /** Null unless all sources were read: a table that was not seen is not missing. */
  readonly schema: readonly SourceTable[] | null;
  /** Why sources could not be read. */
  readonly unread: readonly string[];
}
/** What matters is printed. */
const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} };
const NO_SOURCES: Sources = { connections: [], schema: null, unread: [] };

async function sourcesOf(flags: ConfigFlags): Promise<Sources> {
  const { config } = await loadServiceConfig({ flags, environment: process.env, workingFolder: process.cwd() });
  const { connections } = config.replication;
  const schema: SourceTable[] = [];
  const unread: string[] = [];
  for (const connection of connections) {
    const source = openSourceToAsk(connection, SILENT);
    try {
      schema.push(...(await source.schema()));
    } catch (error) {
      unread.push(`source ${connection.tag}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      await source.close();
    }
  }
  return { connections, schema: unread.length > 0 ? null : schema, unread };
}

function json(file: string, diagnostics: readonly Diagnostic[], unread: readonly string[]): string {
  const found = diagnostics.map(({ level, code, message, line, column }) => ({ level, code, message, line, column }));
  return JSON.stringify({ file, diagnostics: found, unread }, null, 2);
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
