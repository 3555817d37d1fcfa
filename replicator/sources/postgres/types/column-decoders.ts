import type { SqliteValue } from '#core/sync-config/values.ts';
import type { ValueOptions } from '../../contract.ts';
import type { TypeCatalog, TypeInfo } from './catalog.ts';
import { createJsonRenderers } from './json-values.ts';
import { timeFormatter, timestampFormatter } from './timestamps.ts';

/**
 * How the texts of one column become SQLite values (S-278…S-302). `form` lets the row builder take the short way for the commonest
 * types; `fromText` is complete for every column.
 */
export interface ColumnDecoder {
  readonly form: 'text' | 'integer' | 'boolean' | 'other';
  fromText(text: string): SqliteValue;
  /** Length in bytes that a stored value can have at most, from the length of its text; see rows.ts. */
  readonly storage: 'fixed' | 'text' | 'variable';
  /** The text is JSON. */
  readonly isJson?: true;
}

export type DecoderOf = (oid: number) => ColumnDecoder;

const text: ColumnDecoder = { form: 'text', fromText: (value) => value, storage: 'text' };
const wireText: ColumnDecoder = { ...text, storage: 'variable' };
const fixedText: ColumnDecoder = { ...text, storage: 'fixed' };
const integer: ColumnDecoder = { form: 'integer', fromText: (value) => BigInt(value), storage: 'fixed' };
const boolean: ColumnDecoder = { form: 'boolean', fromText: (value) => (value === 't' ? 1n : 0n), storage: 'fixed' };
const real: ColumnDecoder = { form: 'other', fromText: (value) => Number(value), storage: 'fixed' };
const bytes: ColumnDecoder = { form: 'other', fromText: bytesFromText, storage: 'text' };

/** Decoders by type, for one set of options. The types must have been loaded. */
export function createColumnDecoders(catalog: TypeCatalog, options: ValueOptions): DecoderOf {
  const json = createJsonRenderers(catalog, options);
  const made = new Map<TypeInfo, ColumnDecoder>();
  const isCustom = (oid: number): boolean => {
    const type = catalog.get(oid);
    return !(type?.kind === 'base' && !type.custom);
  };
  const variable = (fromText: (value: string) => SqliteValue): ColumnDecoder => ({
    form: 'other',
    fromText,
    storage: 'variable',
  });

  const make = (type: TypeInfo): ColumnDecoder => {
    if (type.kind === 'base') return baseDecoder(type.custom ? '' : type.name, options);
    if (type.kind === 'enum') return fixedText;
    // Arrays of built-in types were always decoded; everything made by users only with the option (S-46).
    if (type.kind === 'array')
      return options.customPostgresTypes || !isCustom(type.element) ? variable(json.array(type)) : wireText;
    if (!options.customPostgresTypes)
      return type.kind === 'domain' ? { ...of(type.base), form: 'text', fromText: wireText.fromText } : wireText;
    switch (type.kind) {
      case 'domain':
        return of(type.base);
      case 'composite':
        return variable(json.composite(type));
      case 'range': {
        const render = json.range(type);
        // An empty range is the text itself, without quotes (wire/05).
        return variable((value) => (value === 'empty' ? value : render(value)));
      }
      case 'multirange':
        return variable(json.multirange(type));
    }
  };
  const of: DecoderOf = (oid) => {
    const type = catalog.get(oid);
    if (type === null) return wireText;
    let decoder = made.get(type);
    if (decoder === undefined) {
      decoder = make(type);
      made.set(type, decoder);
    }
    return decoder;
  };
  return of;
}

function baseDecoder(name: string, options: ValueOptions): ColumnDecoder {
  switch (name) {
    case 'text':
    case 'varchar':
    case 'bpchar':
    case 'xml':
    case 'numeric':
      return text;
    case 'json':
      return { ...text, isJson: true };
    case 'jsonb':
      return { ...wireText, isJson: true };
    case 'bool':
      return boolean;
    case 'int2':
    case 'int4':
    case 'int8':
    case 'oid':
      return integer;
    case 'float4':
    case 'float8':
      return real;
    case 'uuid':
    case 'date':
    case 'timetz':
    case 'interval':
    case 'macaddr':
    case 'macaddr8':
    case 'char':
    case 'money':
      return fixedText;
    case 'bytea':
      return bytes;
    case 'timestamp':
    case 'timestamptz': {
      const format = timestampFormatter(options, name === 'timestamptz');
      return { form: 'other', fromText: format, storage: 'fixed' };
    }
    case 'time':
      return { form: 'other', fromText: timeFormatter(options), storage: 'fixed' };
    default:
      return wireText;
  }
}

/** `\x0102` (bytea_output is hex in our sessions). */
function bytesFromText(value: string): SqliteValue {
  if (!value.startsWith('\\x')) return Buffer.from(value, 'latin1');
  return Buffer.from(value.slice(2), 'hex');
}
