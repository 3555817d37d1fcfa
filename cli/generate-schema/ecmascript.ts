/** What the TypeScript and JavaScript schemas have in common. */
import type { ClientColumnType, ClientSchema } from '#core/sync-config/client-schema.ts';
import { words } from './identifiers.ts';
import { literal } from './literals.ts';

export const PACKAGE = '@powersync/web';

/** Keywords of modules, and names that TypeScript or the file itself declares. */
export const TAKEN = words(`
  arguments await break case catch class const continue debugger default delete do else enum eval export extends false finally for function
  if implements import in instanceof interface let new null package private protected public return static super switch this throw true try
  typeof undefined var void while with yield NaN Infinity globalThis require module exports Object Promise __proto__
  column Column ColumnType Schema Table AppSchema Database StreamParameter typedStreams`);

export const text = (value: string): string => literal(value, { quote: "'", special: '', unicode: 'units' });

/** The key of a property. Without brackets `__proto__` would set the prototype. */
export function key(name: string): string {
  if (name === '__proto__') return `['__proto__']`;
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : text(name);
}

export function importLine(names: readonly string[]): string[] {
  return [`import { ${names.join(', ')} } from '${PACKAGE}';`];
}

export function usedTypes(schema: ClientSchema): ReadonlySet<ClientColumnType> {
  return new Set(schema.tables.flatMap((table) => table.columns.map(({ type }) => type)));
}

/** One function for each stream, under its own name (O-275). */
export function typedStreams(schema: ClientSchema, syntax: 'ts' | 'js'): string[] {
  if (schema.streams.length === 0) return [];
  const functions = schema.streams.map(({ name, parameters }) => {
    if (parameters.length === 0) return `    ${key(name)}: () => db.syncStream(${text(name)}),`;
    const members = parameters.map((parameter) => `${key(parameter)}: StreamParameter`).join('; ');
    const declared = syntax === 'ts' ? `params: { ${members} }` : 'params';
    const expected = parameters.map((parameter) => key(parameter)).join(', ');
    const comment = syntax === 'ts' ? [] : [`    // params: { ${expected} }`];
    return [...comment, `    ${key(name)}: (${declared}) => db.syncStream(${text(name)}, params),`].join('\n');
  });
  const { name, parameters } = schema.streams[0]!;
  const member = /^[A-Za-z_$][\w$]*$/.test(name) ? `.${name}` : `[${text(name)}]`;
  const argument = parameters.length === 0 ? '' : '{ … }';
  const lines = [`// typedStreams(db)${member}(${argument}).subscribe()`];
  if (syntax === 'js') return [...lines, 'export function typedStreams(db) {', '  return {', ...functions, '  };', '}'];
  const parameterType = [
    'type StreamParameter = string | number | boolean | null | StreamParameter[] | { [name: string]: StreamParameter };',
    '',
  ];
  return [
    ...(schema.streams.some((stream) => stream.parameters.length > 0) ? parameterType : []),
    ...lines,
    'export function typedStreams<Stream>(db: { syncStream(name: string, params?: Record<string, unknown>): Stream }) {',
    '  return {',
    ...functions,
    '  };',
    '}',
  ];
}
