/** Swift, for the package `PowerSync`. */
import type { ClientStream } from '#core/sync-config/client-schema.ts';
import type { EmitSchema } from './contract.ts';
import { words } from './identifiers.ts';
import { columnLines, file, header, indented, tableNotes } from './lines.ts';
import { literal } from './literals.ts';
import { namedStreams } from './named-streams.ts';

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
  const named = namedStreams(streams, {
    functions: { form: 'camelCase', reserved: TAKEN, fallback: 'stream' },
    parameters: { form: 'camelCase', reserved: TAKEN, fallback: 'parameter' },
  });
  const blocks = named.map(({ name, identifier: callable, parameters }) => {
    const declared = parameters.map(({ identifier }) => `${identifier}: JsonValue`).join(', ');
    const given = parameters.map(({ name, identifier }) => `${text(name)}: ${identifier}`).join(', ');
    return [
      `    func ${callable}(${declared}) -> any SyncStream {`,
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
