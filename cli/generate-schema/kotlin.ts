/** Kotlin, for `com.powersync:core`. */
import type { ClientSchema } from '#core/sync-config/client-schema.ts';
import type { EmitSchema } from './contract.ts';
import { words } from './identifiers.ts';
import { columnLines, file, header, indented, tableNotes } from './lines.ts';
import { literal } from './literals.ts';
import { namedStreams } from './named-streams.ts';

/** Keywords, what the functions themselves use, and members of every object, also those of Java. */
const TAKEN = words(`
  as break class continue do else false for fun if in interface is null object package return super this throw true try typealias typeof val
  var when while
  dynamic db mapOf to equals hashCode toString clone finalize getClass notify notifyAll wait`);

const text = (value: string): string => literal(value, { quote: '"', special: '$', unicode: 'units' });

export const emitKotlin: EmitSchema = (schema) =>
  file([
    header('kotlin'),
    imports(schema),
    [
      'val schema = Schema(',
      '    listOf(',
      ...indented(
        schema.tables.flatMap((table) => [
          ...tableNotes(table, schema),
          'Table(',
          `    name = ${text(table.name)},`,
          '    columns = listOf(',
          ...indented(
            columnLines(table, ({ name, type }) => `Column.${type}(${text(name)}),`),
            8,
          ),
          '    ),',
          '),',
        ]),
        8,
      ),
      '    ),',
      ')',
    ],
    typedStreams(schema),
  ]);

function imports({ tables, streams }: ClientSchema): string[] {
  const used = {
    'com.powersync.PowerSyncDatabase': streams.length > 0,
    'com.powersync.db.schema.Column': tables.some(({ columns }) => columns.length > 0),
    'com.powersync.db.schema.Schema': true,
    'com.powersync.db.schema.Table': tables.length > 0,
    'com.powersync.sync.SyncStream': streams.length > 0,
    'com.powersync.utils.JsonParam': streams.some(({ parameters }) => parameters.length > 0),
  };
  return Object.entries(used).flatMap(([name, isUsed]) => (isUsed ? [`import ${name}`] : []));
}

function typedStreams({ streams }: ClientSchema): string[] {
  if (streams.length === 0) return [];
  const named = namedStreams(streams, {
    functions: { form: 'camelCase', reserved: TAKEN, fallback: 'stream' },
    parameters: { form: 'camelCase', reserved: TAKEN, fallback: 'parameter' },
  });
  const blocks = named.map(({ name, identifier: callable, parameters }) => {
    const declared = parameters.map(({ identifier }) => `${identifier}: JsonParam`).join(', ');
    const given = parameters.map(({ name, identifier }) => `${text(name)} to ${identifier}`).join(', ');
    return [
      `    fun ${callable}(${declared}): SyncStream =`,
      `        db.syncStream(${text(name)}${parameters.length === 0 ? '' : `, mapOf(${given})`})`,
    ].join('\n');
  });
  return ['class TypedSyncStreams(private val db: PowerSyncDatabase) {', blocks.join('\n\n'), '}'];
}
