import { isMap, isNode, isScalar, parseDocument, type Document, type Pair, type YAMLMap } from 'yaml';

/** One value of the chart: what `values.yaml` says of it. */
export interface DescribedValue {
  /** `image.tag` is `['image', 'tag']`. */
  readonly path: readonly string[];
  readonly default: unknown;
  /** The comment above it, in one line. Empty where a group of values has none. */
  readonly description: string;
  /** What the lines `@schema` add. */
  readonly schema: Readonly<Record<string, unknown>>;
  /** The values of a group, in order. A value with a schema of its own, or without entries, is no group. */
  readonly values: readonly DescribedValue[];
}

const SCHEMA_LINE = /^\s*@schema\s+/;

/**
 * Reads the values of a chart with the comments above them. Throws when the text is no YAML, or when a value has neither a
 * description nor values of its own.
 */
export function describedValues(text: string): DescribedValue[] {
  const document: Document = parseDocument(text);
  if (document.errors.length > 0) throw new Error(`values.yaml: ${document.errors[0]!.message}`);
  if (!isMap(document.contents)) throw new Error('values.yaml holds no values.');
  return valuesOf(document.contents, [], document);
}

function valuesOf(map: YAMLMap, path: readonly string[], document: Document): DescribedValue[] {
  return map.items.map((pair: Pair, index) => {
    const key = isScalar(pair.key) ? String(pair.key.value) : '';
    // The comment above the first entry belongs to the map.
    const own = isScalar(pair.key) ? (pair.key.commentBefore ?? '') : '';
    const comment = index === 0 && own === '' ? (map.commentBefore ?? '') : own;
    return describedValue(pair, [...path, key], comment, document);
  });
}

function describedValue(pair: Pair, path: readonly string[], comment: string, document: Document): DescribedValue {
  const lines = comment.split('\n');
  const schema = lines.filter((line) => SCHEMA_LINE.test(line)).map((line) => parseSchema(line, path));
  const description = lines
    .filter((line) => !SCHEMA_LINE.test(line))
    .map((line) => line.trim())
    .join(' ')
    .trim();
  const isGroup = isMap(pair.value) && pair.value.items.length > 0 && schema.length === 0;
  if (description === '' && !isGroup) throw new Error(`values.yaml: ${path.join('.')} has no comment above it.`);
  return {
    path,
    default: isNode(pair.value) ? (pair.value.toJS(document) as unknown) : null,
    description,
    schema: Object.assign({}, ...schema),
    values: isGroup ? valuesOf(pair.value as YAMLMap, path, document) : [],
  };
}

function parseSchema(line: string, path: readonly string[]): Record<string, unknown> {
  try {
    return JSON.parse(line.replace(SCHEMA_LINE, '')) as Record<string, unknown>;
  } catch (error) {
    throw new Error(`values.yaml: the @schema of ${path.join('.')} is no JSON.`, { cause: error });
  }
}
