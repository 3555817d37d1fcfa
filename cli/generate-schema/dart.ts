/** Dart, for `package:powersync` (Dart 3.3 or later, for the extension type). */
import type { ClientStream } from '#core/sync-config/client-schema.ts';
import type { EmitSchema } from './contract.ts';
import { identifiersFor, words } from './identifiers.ts';
import { columnLines, file, header, indented, tableNotes } from './lines.ts';
import { literal } from './literals.ts';

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
  const functions = identifiersFor(
    streams.map(({ name }) => name),
    { form: 'camelCase', reserved: TAKEN, fallback: 'stream' },
  );
  const lines = streams.map(({ name, parameters }) => {
    const identifiers = identifiersFor(parameters, { form: 'camelCase', reserved: TAKEN, fallback: 'parameter' });
    const declared = parameters.map((parameter) => `required Object? ${identifiers.get(parameter)}`).join(', ');
    const given = parameters.map((parameter) => `${text(parameter)}: ${identifiers.get(parameter)}`).join(', ');
    return parameters.length === 0
      ? `  SyncStream ${functions.get(name)}() => _db.syncStream(${text(name)});`
      : `  SyncStream ${functions.get(name)}({${declared}}) => _db.syncStream(${text(name)}, {${given}});`;
  });
  return ['extension type TypedSyncStreams(PowerSyncDatabase _db) {', ...lines, '}'];
}
