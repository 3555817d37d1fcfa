/** `millrace validate FILE`: what deploying a sync config would say, without a running service (S-32, S-33, O-262). */
import { realClock } from '#core/platform/clock.ts';
import { type ConfigFlags, loadServiceConfig, readSyncConfig } from '#core/platform/config/load.ts';
import type { SourceConnection } from '#core/platform/config/service-config.ts';
import { SILENT_LOG } from '#core/platform/log.ts';
import type { Diagnostic } from '#core/sync-config/contract.ts';
import { describeDiagnostic } from '#core/sync-config/excerpt.ts';
import { compilerFor } from './deploy.ts';
import { readSourceTables, type SourceTables } from './source-tables.ts';

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
  const { connections, tables, unread } =
    flags === null ? { connections: [], tables: null, unread: [] } : await sourcesOf(flags);
  const { diagnostics } = compilerFor(connections)(text, tables);
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

async function sourcesOf(flags: ConfigFlags): Promise<SourceTables & { connections: readonly SourceConnection[] }> {
  const { config } = await loadServiceConfig({ flags, environment: process.env, workingFolder: process.cwd() });
  const { connections } = config.replication;
  return { connections, ...(await readSourceTables(connections, { log: SILENT_LOG, clock: realClock })) };
}

function json(file: string, diagnostics: readonly Diagnostic[], unread: readonly string[]): string {
  const found = diagnostics.map(({ level, code, message, line, column }) => ({ level, code, message, line, column }));
  return JSON.stringify({ file, diagnostics: found, unread }, null, 2);
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
