/** Swift, for the package `PowerSync`. */
import type { ClientStream } from '#core/sync-config/client-schema.ts';
import type { EmitSchema } from './contract.ts';
import { identifiersFor, words } from './identifiers.ts';
import { columnLines, file, header, indented, tableNotes } from './lines.ts';
import { literal } from './literals.ts';

/** Keywords, and what the functions themselves use. */
const TAKEN = words(`
  actor any as associatedtype async await borrowing break case catch class consuming continue convenience default defer deinit didSet do
  dynamic else enum extension fallthrough false fileprivate final for func get guard if import in indirect init inout internal is isolated
  lazy let macro mutating nil nonisolated open operator optional override package postfix precedencegroup prefix private protocol public
  repeat required rethrows return self set sending some static struct subscript super switch throw throws true try typealias unowned var
  weak where while willSet
  db`);

/** Swift has no text for surrogates that stand alone. */
const text = (value: string): string =>
  literal(value.toWellFormed(), { quote: '"', special: '', unicode: 'code points' });

export const emitSwift: EmitSchema = (schema) =>
  file([
    header('swift'),
    ['import PowerSync'],
    [
      'let schema = Schema(tables: [',
      ...indented(
        schema.tables.flatMap((table) => [
          ...tableNotes(table, schema),
          'Table(',
          `    name: ${text(table.name)},`,
          '    columns: [',
          ...indented(
            columnLines(table, ({ name, type }) => `.${type}(${text(name)}),`),
            8,
          ),
          '    ]',
          '),',
        ]),
        4,
      ),
      '])',
    ],
    typedStreams(schema.streams),
  ]);

function typedStreams(streams: readonly ClientStream[]): string[] {
  if (streams.length === 0) return [];
  const functions = identifiersFor(
    streams.map(({ name }) => name),
    { form: 'camelCase', reserved: TAKEN, fallback: 'stream' },
  );
  const blocks = streams.map(({ name, parameters }) => {
    const identifiers = identifiersFor(parameters, { form: 'camelCase', reserved: TAKEN, fallback: 'parameter' });
    const declared = parameters.map((parameter) => `${identifiers.get(parameter)}: JsonValue`).join(', ');
    const given = parameters.map((parameter) => `${text(parameter)}: ${identifiers.get(parameter)}`).join(', ');
    return [
      `    func ${functions.get(name)}(${declared}) -> any SyncStream {`,
      `        db.syncStream(name: ${text(name)}, params: ${parameters.length === 0 ? 'nil' : `[${given}]`})`,
      '    }',
    ].join('\n');
  });
  return [
    'struct TypedSyncStreams {',
    '    private let db: any PowerSyncDatabaseProtocol',
    '',
    '    init(_ db: any PowerSyncDatabaseProtocol) {',
    '        self.db = db',
    '    }',
    '',
    blocks.join('\n\n'),
    '}',
  ];
}
