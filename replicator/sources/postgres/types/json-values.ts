import type { ValueOptions } from '../../contract.ts';
import type { TypeCatalog, TypeInfo } from './catalog.ts';
import {
  type ArrayLiteral,
  type RangeLiteral,
  parseArrayLiteral,
  parseCompositeLiteral,
  parseMultirangeLiteral,
  parseRangeLiteral,
} from './literals.ts';
import { timeFormatter, timestampFormatter } from './timestamps.ts';

/**
 * Values inside arrays, composites and ranges as JSON text (S-294, S-296…S-299, S-301, wire/05, wire/19): booleans are 1 and 0, numbers
 * stay exact, JSON is embedded as it is, everything else is a string. What does not have the expected form stays a string.
 */
export type RenderJson = (text: string) => string;

export interface JsonRenderers {
  /** For members of this type; `numericAsNumber` inside composites and ranges (S-301), not in arrays of numeric, which keep text. */
  of(oid: number, numericAsNumber: boolean): RenderJson;
  array(type: Extract<TypeInfo, { kind: 'array' }>): RenderJson;
  composite(type: Extract<TypeInfo, { kind: 'composite' }>): RenderJson;
  range(type: Extract<TypeInfo, { kind: 'range' }>): RenderJson;
  multirange(type: Extract<TypeInfo, { kind: 'multirange' }>): RenderJson;
}

/** Types may refer to themselves (a composite with an array of itself); values nested deeper than this stay strings. */
const deepest = 64;

const asString: RenderJson = (text) => JSON.stringify(text);
const asIs: RenderJson = (text) => text;
/** `NaN`, `Infinity` and `-Infinity` are no JSON (S-276). */
const asNumber: RenderJson = (text) => (isFiniteText(text) ? text : 'null');
/** The value of a numeric is never lost: what is not a JSON number is a string. */
const asNumericNumber: RenderJson = (text) => (isFiniteText(text) ? text : JSON.stringify(text));

function isFiniteText(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= 48 && last <= 57;
}

export function createJsonRenderers(catalog: TypeCatalog, options: ValueOptions): JsonRenderers {
  const made = new Map<string, RenderJson>();
  let depth = 0;

  /** Made when first needed, because types may be recursive. */
  const of = (oid: number, numericAsNumber: boolean): RenderJson => {
    const key = `${oid}${numericAsNumber ? 'n' : ''}`;
    return (text) => {
      let render = made.get(key);
      if (render === undefined) {
        render = make(catalog.get(oid), numericAsNumber);
        made.set(key, render);
      }
      if (depth >= deepest) return asString(text);
      depth += 1;
      try {
        return render(text);
      } finally {
        depth -= 1;
      }
    };
  };
  const make = (type: TypeInfo | null, numericAsNumber: boolean): RenderJson => {
    switch (type?.kind) {
      case 'base':
        return baseRenderer(type.custom ? '' : type.name, options, numericAsNumber);
      case 'domain':
        return of(type.base, numericAsNumber);
      case 'array':
        return array(type);
      case 'composite':
        return composite(type);
      case 'range':
        return range(type);
      case 'multirange':
        return multirange(type);
      default:
        return asString;
    }
  };

  const array: JsonRenderers['array'] = ({ element, delimiter }) => {
    const render = of(element, false);
    const list = (items: ArrayLiteral): string => {
      let json = '[';
      for (let index = 0; index < items.length; index += 1) {
        const item = items[index]!;
        if (index > 0) json += ',';
        json += item === null ? 'null' : typeof item === 'string' ? render(item) : list(item);
      }
      return `${json}]`;
    };
    return (text) => {
      const items = parseArrayLiteral(text, delimiter);
      return items === null ? asString(text) : list(items);
    };
  };

  const composite: JsonRenderers['composite'] = ({ oid, fields }) => {
    const names = fields.map(({ name }) => `${JSON.stringify(name)}:`);
    const renders = fields.map(({ type }) => of(type, true));
    return (text) => {
      const members = parseCompositeLiteral(text);
      if (members === null) return asString(text);
      const count = names.length === 0 && text === '()' ? 0 : members.length;
      if (count > names.length) {
        catalog.outgrown(oid, count);
        return asString(text);
      }
      // Fewer: written before a member was added.
      let json = '{';
      for (let index = 0; index < count; index += 1) {
        const member = members[index]!;
        if (index > 0) json += ',';
        json += names[index]! + (member === null ? 'null' : renders[index]!(member));
      }
      return `${json}}`;
    };
  };

  const bounds = (render: RenderJson, range: RangeLiteral): string => {
    const bound = (text: string | null): string => (text === null ? 'null' : render(text));
    const { lowerExclusive, upperExclusive } = range;
    return `{"lower":${bound(range.lower)},"upper":${bound(range.upper)},"lower_exclusive":${lowerExclusive ? 1 : 0},"upper_exclusive":${upperExclusive ? 1 : 0}}`;
  };
  const range: JsonRenderers['range'] = ({ bound }) => {
    const render = of(bound, true);
    return (text) => {
      const value = parseRangeLiteral(text);
      return value === null || value === 'empty' ? asString(text) : bounds(render, value);
    };
  };
  const multirange: JsonRenderers['multirange'] = (type) => {
    const inner = catalog.get(type.range);
    const render = inner?.kind === 'range' ? of(inner.bound, true) : asString;
    return (text) => {
      const ranges = parseMultirangeLiteral(text);
      return ranges === null ? asString(text) : `[${ranges.map((each) => bounds(render, each)).join(',')}]`;
    };
  };

  return { of, array, composite, range, multirange };
}

function baseRenderer(name: string, options: ValueOptions, numericAsNumber: boolean): RenderJson {
  switch (name) {
    case 'bool':
      return (text) => (text === 't' ? '1' : '0');
    case 'int2':
    case 'int4':
    case 'int8':
    case 'oid':
      return asIs;
    case 'float4':
    case 'float8':
      return asNumber;
    case 'numeric':
      return numericAsNumber ? asNumericNumber : asString;
    case 'json':
    case 'jsonb':
      return asIs;
    case 'timestamp':
    case 'timestamptz': {
      const format = timestampFormatter(options, name === 'timestamptz');
      return (text) => asString(format(text));
    }
    case 'time': {
      const format = timeFormatter(options);
      return (text) => asString(format(text));
    }
    default:
      return asString;
  }
}
