/** `millrace generate schema`: the schema of the app from the sync config and the tables of its sources (O-263, O-273). */
import { realClock } from '#core/platform/clock.ts';
import { type ConfigFlags, loadServiceConfig, readSyncConfig } from '#core/platform/config/load.ts';
import type { ServiceConfig, SourceConnection, SyncConfigSource } from '#core/platform/config/service-config.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { SILENT_LOG } from '#core/platform/log.ts';
import { clientSchema, type TypedTable } from '#core/sync-config/client-schema.ts';
import { describeDiagnostic } from '#core/sync-config/excerpt.ts';
import { valueTypeOf } from '#core/sync-config/source-types/value-type-of.ts';
import { compilerFor } from '../deploy.ts';
import { readSourceTables, type ReadTable } from '../source-tables.ts';
import type { SchemaLanguage } from './contract.ts';
import { SCHEMA_EMITTERS } from './registry.ts';
import { replaceFile } from './replace-file.ts';

export interface GenerateSchemaOptions {
  readonly language: SchemaLanguage;
  /** Null: the schema is printed. */
  readonly outputPath: string | null;
  /** The sync config; null: that of the service configuration. */
  readonly file: string | null;
  readonly flags: ConfigFlags;
  readonly print: (text: string) => void;
  /** Findings, one or more lines each. Not part of the schema, which may be printed to a file. */
  readonly report: (text: string) => void;
}

/**
 * False, with the findings reported, when the sync config has errors. Throws what keeps configuration or sources from being read, and
 * `PSYNC_S0103`. Nothing is written or printed unless all went well.
 */
export async function generateSchema(options: GenerateSchemaOptions): Promise<boolean> {
  const { language, outputPath, flags, print, report } = options;
  const { config } = await loadServiceConfig({
    flags,
    environment: process.env,
    workingFolder: process.cwd(),
    needsSource: true,
  });
  const source = syncConfigOf(options.file, config);
  const text = await readSyncConfig(source);
  const { connections } = config.replication;
  const { tables, unread } = await readSourceTables(connections, { log: SILENT_LOG, clock: realClock });
  // Whatever could not be seen would be left out of the schema.
  if (tables === null) throw codedError('PSYNC_S4107', `No schema was generated.\n${unread.join('\n')}`);
  const { plan, diagnostics } = compilerFor(connections)(text, tables);
  const name = 'file' in source.from ? source.from.file : 'sync config';
  for (const diagnostic of diagnostics) report(describeDiagnostic(name, text, diagnostic));
  if (plan === null) return false;
  const schema = SCHEMA_EMITTERS[language](clientSchema(plan, typedTables(tables, connections)));
  if (outputPath === null) print(schema);
  else await replaceFile(outputPath, schema);
  return true;
}

function syncConfigOf(file: string | null, config: ServiceConfig): SyncConfigSource {
  if (file !== null) return { from: { file }, exitOnError: true, versionLabel: undefined };
  if (config.syncConfig !== undefined) return config.syncConfig;
  throw codedError(
    'PSYNC_S3224',
    'The service configuration has no sync config: add "sync_config", or pass --sync-config-file-path <file>',
  );
}

/** Tables with the types of their values, which follow from the kind of their source. */
function typedTables(tables: readonly ReadTable[], connections: readonly SourceConnection[]): TypedTable[] {
  const kinds = new Map(connections.map(({ tag, type }) => [tag, type]));
  return tables.map(({ columnTypes, ...table }) => {
    const kind = kinds.get(table.source)!;
    return { ...table, types: columnTypes.map((name) => valueTypeOf(kind, name)) };
  });
}
