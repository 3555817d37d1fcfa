import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { syncInstanceSchema } from '../definition.ts';
import type { StructuralSchema } from '../structural-schema.ts';
import type { Rule } from '../sync-instance/schema-parts.ts';

const folder = join(import.meta.dirname, '../examples');

export type Manifest = { metadata: { name: string } } & Record<string, unknown>;

/** A manifest, and the one that stands in the cluster before it: then it is an update. */
type Step = { name: string; before: Manifest | undefined; manifest: Manifest };
export type ValidExample = Step;
/** `refused`: parts of the messages of the API server, from the comments `# Refused: …`. */
export type InvalidExample = Step & { refused: string[] };

/** The documents of each file are applied one after the other. */
export async function validExamples(): Promise<ValidExample[]> {
  const files = await documents('valid');
  return files.flatMap(({ file, texts }) =>
    texts.map((text, index) => ({
      name: texts.length === 1 ? file : `${file}, step ${index + 1}`,
      before: index === 0 ? undefined : manifestOf(texts[index - 1]!),
      manifest: manifestOf(text),
    })),
  );
}

/** Each document is refused, but for those with the comment `# Given`, which the next one is an update of. */
export async function invalidExamples(): Promise<InvalidExample[]> {
  const files = await documents('invalid');
  return files.flatMap(({ file, texts }) =>
    texts.flatMap((text, index) => {
      if (isGiven(text)) return [];
      const before = texts[index - 1];
      const refused = [...text.matchAll(/^# Refused: (.+)$/gm)].map((match) => match[1]!);
      return {
        name: `${file}, document ${index + 1}: ${refused.join(' ')}`,
        before: before !== undefined && isGiven(before) ? manifestOf(before) : undefined,
        manifest: manifestOf(text),
        refused,
      };
    }),
  );
}

/** All rules of the definition; one that occurs at several places once. */
export function definedRules(): Rule[] {
  const found = new Map<string, Rule>();
  const visit = (schema: StructuralSchema) => {
    for (const rule of schema['x-kubernetes-validations'] ?? []) found.set(`${rule.rule}\n${rule.message}`, rule);
    for (const within of [schema.items, schema.additionalProperties, ...Object.values(schema.properties ?? {})]) {
      if (within !== undefined) visit(within);
    }
  };
  visit(syncInstanceSchema());
  return [...found.values()];
}

/**
 * Which rules and fields a value puts to the test. A field that occurs at several places under the same definition
 * counts once: as its name and its schema.
 */
export function touched(value: unknown, schema: StructuralSchema): { rules: Set<string>; fields: Set<string> } {
  const rules = new Set<string>();
  const fields = new Set<string>();
  const visit = (value: unknown, schema: StructuralSchema): void => {
    for (const { message } of schema['x-kubernetes-validations'] ?? []) rules.add(message);
    if (Array.isArray(value)) for (const item of value) visit(item, schema.items!);
    if (typeof value !== 'object' || value === null) return;
    for (const [name, inner] of Object.entries(value)) {
      const field = schema.properties?.[name];
      if (field !== undefined) fields.add(fieldIdentity(name, field));
      const innerSchema = field ?? schema.additionalProperties;
      if (innerSchema !== undefined) visit(inner, innerSchema);
    }
  };
  visit(value, schema);
  return { rules, fields };
}

/** All fields of a schema, named as in `touched`, with the path of the first. */
export function definedFields(schema: StructuralSchema): Map<string, string> {
  const found = new Map<string, string>();
  const visit = (schema: StructuralSchema, path: string): void => {
    for (const [name, field] of Object.entries(schema.properties ?? {})) {
      const identity = fieldIdentity(name, field);
      if (!found.has(identity)) found.set(identity, `${path}.${name}`);
      visit(field, `${path}.${name}`);
    }
    if (schema.items !== undefined) visit(schema.items, `${path}[]`);
    if (schema.additionalProperties !== undefined) visit(schema.additionalProperties, `${path}.*`);
  };
  visit(schema, '');
  return found;
}

function fieldIdentity(name: string, schema: StructuralSchema): string {
  return `${name} ${JSON.stringify(schema)}`;
}

async function documents(kind: 'valid' | 'invalid'): Promise<{ file: string; texts: string[] }[]> {
  const names = (await readdir(join(folder, kind))).filter((name) => name.endsWith('.yaml')).toSorted();
  return Promise.all(
    names.map(async (file) => ({ file, texts: (await readFile(join(folder, kind, file), 'utf8')).split(/^---\n/m) })),
  );
}

function isGiven(text: string): boolean {
  return /^# Given$/m.test(text);
}

function manifestOf(text: string): Manifest {
  return parse(text) as Manifest;
}
