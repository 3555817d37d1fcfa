/** From sync config text to a deployed version: the only way a version comes to be (O-125). */
import type { BucketStorage } from '#core/bucket-storage/contract.ts';
import type { DeployedVersion } from '#core/bucket-storage/sync-config-store.ts';
import type { Coordination } from '#core/coordination/contract.ts';
import type { SourceConnection } from '#core/platform/config/service-config.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { compileSyncConfig } from '#core/sync-config/compile.ts';
import type { CompileOptions, CompileResult, Diagnostic } from '#core/sync-config/contract.ts';
import { definitionSpecs } from '#core/sync-config/plan.ts';
import type { SourceTable } from '#core/sync-config/values.ts';
import { defaultSchemaOf } from '#replicator/sources/registry.ts';
import type { ReadSourceTables } from './source-tables.ts';

/** `tables`: of the sources, for warnings about them; the plan never depends on them. */
export type CompileForInstance = (text: string, tables?: readonly SourceTable[] | null) => CompileResult;

/** What the compiler has to know of this instance's connections: tags and default schemas (R-3, R-52). */
export function compileOptionsFor(connections: readonly SourceConnection[]): CompileOptions {
  const tags = connections.map((connection) => connection.tag);
  const defaultSource = tags.includes('default') ? 'default' : (tags[0] ?? 'default');
  const defaultSchemas = Object.fromEntries(
    connections.map((connection) => [connection.tag, defaultSchemaOf(connection)]),
  );
  const schemaPatterns = connections.filter(({ type }) => type === 'postgresql').map(({ tag }) => tag);
  return { defaultSource, sources: tags, defaultSchemas, ...(tags.length === 0 ? {} : { schemaPatterns }) };
}

/** The compiler of this instance. */
export function compilerFor(connections: readonly SourceConnection[]): CompileForInstance {
  const options = compileOptionsFor(connections);
  return (text, tables = null) =>
    compileSyncConfig(text, { ...options, ...(tables === null ? {} : { schema: tables }) });
}

/**
 * What only the tables of the sources show: names that do not exist, or not in this case (S-33, S-247). Nothing of it stops a deployment, so
 * that it is looked for afterwards. `known`: what was found without them. Empty when a source cannot be read. Never rejects.
 */
export type SchemaWarnings = (text: string, known: readonly Diagnostic[]) => Promise<readonly Diagnostic[]>;

export function schemaWarningsWith(compile: CompileForInstance, sourceTables: ReadSourceTables): SchemaWarnings {
  return async (text, known) => {
    const { tables } = await sourceTables();
    if (tables === null) return [];
    const places = new Set(known.map(placeOf));
    return compile(text, tables).diagnostics.filter((item) => !places.has(placeOf(item)));
  };
}

const placeOf = ({ code, startOffset, endOffset }: Diagnostic): string => `${code}:${startOffset}:${endOffset}`;

export interface Deployment {
  readonly version: DeployedVersion;
  readonly warnings: readonly Diagnostic[];
}

/** Throws PSYNC_R0001 with all findings in `details` when the text has errors; then nothing changes (O-133). */
export async function deploySyncConfig(
  text: string,
  options: {
    readonly compile: CompileForInstance;
    readonly storage: BucketStorage;
    readonly coordination: Pick<Coordination, 'nudge'>;
    readonly label?: string | undefined;
    /** Copies everything again although nothing changed (O-118). */
    readonly reprocess?: boolean;
    /** A first copy that waits for an operator begins again, with the same sync config too (R-109). */
    readonly retryBlocked?: boolean;
  },
): Promise<Deployment> {
  const { plan, diagnostics } = options.compile(text);
  if (!plan) {
    const details = diagnostics.filter((item) => item.level === 'error').map(formatDiagnostic);
    throw codedError(
      'PSYNC_R0001',
      `The sync config has ${details.length === 1 ? 'an error' : `${details.length} errors`}:\n${details.join('\n')}`,
      { details },
    );
  }
  const definitions = definitionSpecs(plan);
  const sources = [
    ...new Set([...definitions.map((definition) => definition.source), ...plan.tables.map((table) => table.source)]),
  ];
  const force = options.reprocess ? sources : options.retryBlocked ? await blockedSources(options.storage) : [];
  const version = await options.storage.configs.deploy({
    content: text,
    plan: JSON.stringify(plan),
    definitions,
    sources,
    ...(options.label === undefined ? {} : { label: options.label }),
    ...(force.length === 0 ? {} : { force }),
  });
  options.coordination.nudge('sync-config');
  return { version, warnings: diagnostics };
}

async function blockedSources(storage: BucketStorage): Promise<string[]> {
  const streams = (await storage.configs.processing())?.streams ?? [];
  return streams.filter((stream) => stream.progress?.blocked).map((stream) => stream.source);
}

export function formatDiagnostic(diagnostic: Diagnostic): string {
  return `[${diagnostic.code}] line ${diagnostic.line}, column ${diagnostic.column}: ${diagnostic.message}`;
}
