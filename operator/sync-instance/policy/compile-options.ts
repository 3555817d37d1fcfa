import type { SourceSpec } from '#crds/sync-instance/sources.ts';
import type { CompileOptions } from '#core/sync-config/contract.ts';

/** What the compiler has to know of an instance: tags and default schemas, as the data plane derives them from the same resource. */
export function compileOptions(sources: readonly SourceSpec[]): CompileOptions {
  const tags = sources.map(({ name }) => name);
  return {
    defaultSource: tags.includes('default') ? 'default' : (tags[0] ?? 'default'),
    sources: tags,
    defaultSchemas: Object.fromEntries(sources.map((source) => [source.name, defaultSchema(source)])),
    schemaPatterns: sources.filter(({ type }) => type === 'postgresql').map(({ name }) => name),
  };
}

/** Where it stands only in a connection URI, which the operator does not read, the name of the source takes its place: nothing but hints depends on it. */
function defaultSchema(source: SourceSpec): string {
  switch (source.type) {
    case 'postgresql':
      return 'public';
    case 'mssql':
      return source.mssql?.schema ?? 'dbo';
    case 'mongodb':
      return source.mongodb?.database ?? source.name;
    case 'mysql':
      return source.mysql?.database ?? source.name;
    case 'convex':
      return 'convex';
  }
}
