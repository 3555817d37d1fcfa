/** TypeScript, for `@powersync/web` and, with another import, the other JavaScript SDKs. */
import type { ClientSchema } from '#core/sync-config/client-schema.ts';
import type { EmitSchema } from './contract.ts';
import { importLine, key, TAKEN, typedStreams, usedTypes } from './ecmascript.ts';
import { identifiersFor } from './identifiers.ts';
import { columnLines, file, header, indented, tableNotes } from './lines.ts';

export const emitTypeScript: EmitSchema = (schema) =>
  file([
    header('ts'),
    ...tablesAndSchema(schema),
    [`export type Database = (typeof AppSchema)['types'];`],
    typedStreams(schema, 'ts'),
  ]);

/** Import, a constant for each table, and `AppSchema`: the same in JavaScript. */
export function tablesAndSchema(schema: ClientSchema): string[][] {
  const style = { form: 'asItIs', reserved: TAKEN, fallback: 'table' } as const;
  const identifiers = identifiersFor(
    schema.tables.map(({ name }) => name),
    style,
  );
  const tables = schema.tables.map((table) => [
    ...tableNotes(table, schema),
    `const ${identifiers.get(table.name)} = new Table(`,
    '  {',
    ...indented(
      columnLines(table, ({ name, type }) => `${key(name)}: column.${type},`),
      4,
    ),
    '  },',
    '  { indexes: {} },',
    ');',
  ]);
  const members = schema.tables.map(({ name }) => {
    const identifier = identifiers.get(name)!;
    return identifier === name ? `  ${name},` : `  ${key(name)}: ${identifier},`;
  });
  const used = [...(usedTypes(schema).size > 0 ? ['column'] : []), 'Schema', ...(tables.length > 0 ? ['Table'] : [])];
  return [importLine(used), ...tables, ['export const AppSchema = new Schema({', ...members, '});']];
}
