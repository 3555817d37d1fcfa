/**
 * Reads generated Dart, Kotlin, Swift and C# by the rules of the language for literals and comments, and finds the schema in it. Knows nothing
 * of how it was written. Throws at whatever the language does not allow, and at what these files have no reason to hold.
 */

export type ReadLanguage = 'dart' | 'kotlin' | 'swift' | 'dotNet';

interface Syntax {
  readonly quote: string;
  readonly escapes: Readonly<Record<string, string>>;
  /** After a backslash. Sticky, the code in the first group that matched. */
  readonly unicode: RegExp;
  /** Starts interpolation when it stands in a literal without a backslash. */
  readonly interpolation: string | null;
  readonly lineEnds: RegExp;
  /** On text without whitespace, in which literals are numbers between `«»`. */
  readonly table: RegExp;
  readonly column: RegExp;
  readonly stream: RegExp;
  readonly parameter: RegExp;
  readonly keywords: string;
}

const PLAIN = { n: '\n', r: '\r', t: '\t' };
const FOUR = /u([0-9a-fA-F]{4})/y;
const BRACED = /u\{([0-9a-fA-F]{1,6})\}/y;

const SYNTAX: Readonly<Record<ReadLanguage, Syntax>> = {
  dart: {
    quote: "'",
    escapes: { ...PLAIN, '\\': '\\', $: '$', "'": "'" },
    unicode: BRACED,
    interpolation: '$',
    lineEnds: /[\n\r]/,
    table: /Table\(«(\d+)»,\[/,
    column: /Column\.(?<type>\w+)\(«(?<name>\d+)»\)/,
    stream:
      /SyncStream (?<identifier>\w+)\((?:\{(?<declared>[^}]*)\})?\)=>_db\.syncStream\(«(?<name>\d+)»(?:,\{(?<given>[^}]*)\})?\);/,
    parameter: /«(\d+)»:(\w+)/,
    keywords:
      'assert break case catch class const continue default do else enum extends false final finally for if in is new null rethrow return super switch this throw true try var void while with await yield',
  },
  kotlin: {
    quote: '"',
    escapes: { ...PLAIN, b: '\b', '\\': '\\', $: '$', "'": "'", '"': '"' },
    unicode: FOUR,
    interpolation: '$',
    lineEnds: /[\n\r]/,
    table: /Table\(name=«(\d+)»,columns=listOf\(/,
    column: /Column\.(?<type>\w+)\(«(?<name>\d+)»\)/,
    stream:
      /fun (?<identifier>\w+)\((?<declared>[^)]*)\):SyncStream=db\.syncStream\(«(?<name>\d+)»(?:,mapOf\((?<given>[^)]*)\))?\)/,
    parameter: /«(\d+)» to (\w+)/,
    keywords:
      'as break class continue do else false for fun if in interface is null object package return super this throw true try typealias typeof val var when while',
  },
  swift: {
    quote: '"',
    escapes: { ...PLAIN, '0': '\0', '\\': '\\', "'": "'", '"': '"' },
    unicode: BRACED,
    interpolation: null,
    lineEnds: /[\n\r]/,
    table: /Table\(name:«(\d+)»,columns:\[/,
    column: /\.(?<type>text|integer|real)\(«(?<name>\d+)»\)/,
    stream:
      /func (?<identifier>\w+)\((?<declared>[^)]*)\)->any SyncStream\{db\.syncStream\(name:«(?<name>\d+)»,params:(?:nil|\[(?<given>[^\]]*)\])\)\}/,
    parameter: /«(\d+)»:(\w+)/,
    keywords:
      'associatedtype class deinit enum extension fileprivate func import init inout internal let open operator private precedencegroup protocol public rethrows static struct subscript typealias var break case catch continue default defer do else fallthrough for guard if in repeat return throw switch where while Any as await false is nil self Self super throws true try',
  },
  dotNet: {
    quote: '"',
    escapes: { ...PLAIN, '0': '\0', '\\': '\\', "'": "'", '"': '"' },
    unicode: FOUR,
    interpolation: null,
    lineEnds: /[\n\r\u0085\u2028\u2029]/,
    table: /public static readonly Table \w+=new Table\{Name=«(\d+)»,Columns=\{/,
    column: /\[«(?<name>\d+)»\]=ColumnType\.(?<type>\w+),/,
    stream:
      /public ISyncStream (?<identifier>\w+)\((?<declared>[^)]*)\)=>db\.SyncStream\(«(?<name>\d+)»(?:,new Dictionary<string,object>\{(?<given>[^}]*)\})?\);/,
    parameter: /\[«(\d+)»\]=(\w+)/,
    keywords:
      'abstract as base bool break byte case catch char checked class const continue decimal default delegate do double else enum event explicit extern false finally fixed float for foreach goto if implicit in int interface internal is lock long namespace new null object operator out override params private protected public readonly ref return sbyte sealed short sizeof stackalloc static string struct switch this throw true try typeof uint ulong unchecked unsafe ushort using virtual void volatile while',
  },
};

export interface ReadSchema {
  readonly tables: readonly { readonly name: string; readonly columns: readonly { name: string; type: string }[] }[];
  readonly streams: readonly {
    readonly name: string;
    readonly identifier: string;
    readonly parameters: readonly string[];
    /** Identifiers of the parameters, as they are declared and as they are used. */
    readonly declared: readonly string[];
    readonly used: readonly string[];
  }[];
  /** Names that the language reserves; none of the identifiers may be among them. */
  readonly keywords: ReadonlySet<string>;
}

export function readBack(language: ReadLanguage, source: string): ReadSchema {
  const syntax = SYNTAX[language];
  const literals: string[] = [];
  const code = withoutLiterals(source, syntax, literals)
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/ ?([^\w« »]) ?/g, '$1');
  const at = (index: string): string => literals[Number(index)]!;
  const tables = code.split(new RegExp(`(?=${syntax.table.source})`)).flatMap((part) => {
    const name = syntax.table.exec(part)?.[1];
    if (name === undefined) return [];
    const columns = [...part.matchAll(new RegExp(syntax.column, 'g'))].map(({ groups }) => ({
      name: at(groups!['name']!),
      type: groups!['type']!.toLowerCase(),
    }));
    return [{ name: at(name), columns }];
  });
  const streams = [...code.matchAll(new RegExp(syntax.stream, 'g'))].map(({ groups }) => {
    const given = [...(groups!['given'] ?? '').matchAll(new RegExp(syntax.parameter, 'g'))];
    const declared = (groups!['declared'] ?? '').split(',').filter(Boolean);
    return {
      name: at(groups!['name']!),
      identifier: groups!['identifier']!,
      parameters: given.map(([, index]) => at(index!)),
      // `name: Type` or `Type name`
      declared: declared.map((text) => /^(\w+):/.exec(text)?.[1] ?? /(\w+)$/.exec(text)![1]!),
      used: given.map(([, , used]) => used!),
    };
  });
  return { tables, streams, keywords: new Set(syntax.keywords.split(' ')) };
}

/** The code without comments; each literal is put into `literals` and stands as its number. */
function withoutLiterals(source: string, syntax: Syntax, literals: string[]): string {
  let code = '';
  let at = 0;
  while (at < source.length) {
    const character = source[at]!;
    if (source.startsWith('//', at)) {
      const length = source.slice(at).search(syntax.lineEnds);
      at = length === -1 ? source.length : at + length;
    } else if (character === syntax.quote) {
      const { text, end } = readLiteral(source, at, syntax);
      code += `«${literals.push(text) - 1}»`;
      at = end;
    } else if (/[\w\s.,:;()[\]{}<>=?-]/.test(character) && character < '\u0080') {
      code += character;
      at += 1;
    } else throw new Error(`Unexpected ${JSON.stringify(source.slice(at, at + 20))}`);
  }
  return code;
}

function readLiteral(source: string, start: number, syntax: Syntax): { text: string; end: number } {
  let text = '';
  for (let at = start + 1; at < source.length; at += 1) {
    const character = source[at]!;
    if (character === syntax.quote) return { text, end: at + 1 };
    if (syntax.lineEnds.test(character) || character === '\n') throw new Error('A line ends within a literal');
    if (character === syntax.interpolation) throw new Error('Interpolation');
    if (character !== '\\') {
      text += character;
      continue;
    }
    syntax.unicode.lastIndex = at + 1;
    const code = syntax.unicode.exec(source);
    const plain = syntax.escapes[source[at + 1]!];
    if (code !== null) text += String.fromCodePoint(Number.parseInt(code[1]!, 16));
    else if (plain !== undefined) text += plain;
    else throw new Error(`No escape: ${source.slice(at, at + 8)}`);
    at += code === null ? 1 : code[0].length;
  }
  throw new Error('A literal without end');
}
