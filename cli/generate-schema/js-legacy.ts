/** JavaScript for SDKs before version 2, whose `Table` takes its name and a list of columns. */
import type { EmitSchema } from './contract.ts';
import { importLine, text, typedStreams, usedTypes } from './ecmascript.ts';
import { columnLines, file, header, indented, tableNotes } from './lines.ts';

export const emitLegacyJavaScript: EmitSchema = (schema) => {
  const tables = schema.tables.flatMap((table) => [
    ...tableNotes(table, schema),
    'new Table({',
    `  name: ${text(table.name)},`,
    '  columns: [',
    ...indented(
      columnLines(
        table,
        ({ name, type }) => `new Column({ name: ${text(name)}, type: ColumnType.${type.toUpperCase()} }),`,
      ),
      4,
    ),
    '  ],',
    '}),',
  ]);
  const columns = usedTypes(schema).size > 0 ? ['Column', 'ColumnType'] : [];
  return file([
    header('jsLegacy'),
    importLine([...columns, 'Schema', ...(tables.length > 0 ? ['Table'] : [])]),
    ['export const AppSchema = new Schema([', ...indented(tables, 2), ']);'],
    typedStreams(schema, 'js'),
  ]);
};
