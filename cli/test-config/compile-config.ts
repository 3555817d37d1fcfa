/** The sync config of a test file: found, compiled, and its findings at their place. */
import { compileSyncConfig } from '#core/sync-config/compile.ts';
import { createDiagnostics } from '#core/sync-config/compile/diagnostics.ts';
import type { SyncConfigCode } from '#core/sync-config/codes.ts';
import type { CompileOptions, Diagnostic, SyncPlan } from '#core/sync-config/contract.ts';
import type { ConfigReference, TestFile } from './contract.ts';
import { DEFAULT_SCHEMAS } from './read-tables.ts';

/** Text of the sync config that a test file names. Rejects with a reason that says which file could not be read. */
export type ReadSyncConfig = (path: string) => Promise<{ readonly file: string; readonly text: string }>;

export interface CompiledConfig {
  readonly plan: SyncPlan | null;
  /** Findings in `text`, which stands in `file`. */
  readonly file: string;
  readonly text: string;
  readonly diagnostics: readonly Diagnostic[];
}

/** Compiles as a deployment would; adds a warning for columns that queries name and no row of the fixture has (S-34). */
export function compileConfig(
  test: TestFile,
  config: { readonly file: string; readonly text: string },
): CompiledConfig {
  const options = optionsFor(test);
  const { plan, diagnostics } = compileSyncConfig(config.text, options);
  return { plan, ...config, diagnostics: [...diagnostics, ...unknownColumns(test, config.text, options, diagnostics)] };
}

function optionsFor({ sources, defaultSource }: TestFile): CompileOptions {
  const tags = [...sources.keys()];
  return {
    defaultSource,
    sources: tags,
    defaultSchemas: Object.fromEntries([...sources].map(([tag, kind]) => [tag, DEFAULT_SCHEMAS[kind]])),
    schemaPatterns: tags.filter((tag) => sources.get(tag) === 'postgresql'),
  };
}

/**
 * What the compiler says of columns when the fixture is the schema. Tables without rows are no schema: nothing is known of their columns.
 * The plan is made without it, as in production.
 */
function unknownColumns(
  { tables }: TestFile,
  text: string,
  options: CompileOptions,
  known: readonly Diagnostic[],
): Diagnostic[] {
  const schema = tables.filter(({ rows }) => rows.length > 0);
  if (schema.length === 0) return [];
  const same = (a: Diagnostic) => (b: Diagnostic) => a.code === b.code && a.startOffset === b.startOffset;
  return compileSyncConfig(text, { ...options, schema })
    .diagnostics.filter(({ code }) => code === 'PSYNC_R2302' || code === 'PSYNC_R2303')
    .filter((finding) => !known.some(same(finding)))
    .map((finding) =>
      finding.code === 'PSYNC_R2302' ? { ...finding, message: unknownColumn(text, finding) } : finding,
    );
}

function unknownColumn(text: string, { startOffset, endOffset }: Diagnostic): string {
  const column = text.slice(startOffset, endOffset);
  return `No row of the test has the column ${column}; it is null, as in production while the table does not have it.`;
}

/** Findings in a sync config that stands inside a test file, at their places there. */
export function placeInline(
  testText: string,
  { locate }: Extract<ConfigReference, { kind: 'inline' }>,
  findings: readonly Diagnostic[],
): Diagnostic[] {
  const placed = createDiagnostics(testText);
  for (const { level, code, message, startOffset, endOffset } of findings) {
    const start = locate(startOffset);
    const end = Math.max(start + 1, endOffset > startOffset ? locate(endOffset - 1) + 1 : start);
    placed.report(level, code as SyncConfigCode, message, start, end);
  }
  return placed.all();
}
