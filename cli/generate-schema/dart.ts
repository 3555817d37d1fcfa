/** Dart, for `package:powersync` (Dart 3.3 or later, for the extension type). */
import type { ClientStream } from '#core/sync-config/client-schema.ts';
import type { EmitSchema } from './contract.ts';
import { words } from './identifiers.ts';
import { columnLines, file, header, indented, tableNotes } from './lines.ts';
import { literal } from './literals.ts';
import { namedStreams } from './named-streams.ts';

/** Keywords, also those that are so only in some places, and members of every object. */
const TAKEN = words(`
  abstract as assert async augment await base break case catch class const continue covariant default deferred do dynamic else enum export
  extends extension external factory false final finally for get hide if implements import in interface is late library mixin new null of
  on operator part required rethrow return sealed set show static super switch sync this throw true try type typedef var void when while
  with yield hashCode noSuchMethod runtimeType toString Function Object`);

const text = (value: string): string => literal(value, { quote: "'", special: '$', unicode: 'code points' });

export const emitDart: EmitSchema = (schema) =>
  file([
    header('dart'),
    ["import 'package:powersync/powersync.dart';"],
    [
      'const schema = Schema([',
      ...indented(
        schema.tables.flatMap((table) => [
          ...tableNotes(table, schema),
          `Table(${text(table.name)}, [`,
          ...indented(
            columnLines(table, ({ name, type }) => `Column.${type}(${text(name)}),`),
            2,
          ),
          ']),',
        ]),
        2,
      ),
      ']);',
    ],
    typedStreams(schema.streams),
  ]);

function typedStreams(streams: readonly ClientStream[]): string[] {
  if (streams.length === 0) return [];
  const named = namedStreams(streams, {
    functions: { form: 'camelCase', reserved: TAKEN, fallback: 'stream' },
    parameters: { form: 'camelCase', reserved: TAKEN, fallback: 'parameter' },
  });
  const lines = named.map(({ name, identifier: callable, parameters }) => {
    const declared = parameters.map(({ identifier }) => `required Object? ${identifier}`).join(', ');
    const given = parameters.map(({ name, identifier }) => `${text(name)}: ${identifier}`).join(', ');
    return parameters.length === 0
      ? `  SyncStream ${callable}() => _db.syncStream(${text(name)});`
      : `  SyncStream ${callable}({${declared}}) => _db.syncStream(${text(name)}, {${given}});`;
  });
  return ['extension type TypedSyncStreams(PowerSyncDatabase _db) {', ...lines, '}'];
}
