import { syncInstanceSchema } from './definition.ts';
import type { StructuralSchema } from './structural-schema.ts';

type Part = { path: string; schema: StructuralSchema };

const introduction = `<!-- Generated from crds/sync-instance by crds/generate.ts. Do not edit. -->
# SyncInstance

\`apiVersion: millrace.dev/v1alpha1\`, \`kind: SyncInstance\`, short name \`si\`, namespaced. A complete manifest:
[quick-start.yaml](../../crds/examples/valid/quick-start.yaml).

Fields in **bold** must be given. All others may be left out. The API server puts in the defaults. What it checks
beyond types and bounds stands under "Rules", with the words that it answers.
`;

/** The reference of all fields, in Markdown. An object that occurs several times is described once. */
export function referencePage(): string {
  const known = new Map<string, string>();
  const { spec, status } = syncInstanceSchema().properties!;
  const rules = syncInstanceSchema()['x-kubernetes-validations'] ?? [];
  const waiting: Part[] = [
    { path: 'spec', schema: spec! },
    { path: 'status', schema: status! },
  ];
  const pages: string[] = [introduction, ruleList(rules.map(({ message }) => message))];
  for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
    const nested: Part[] = [];
    pages.push(partPage(part, known, nested));
    // Depth first: the fields of an object follow it.
    waiting.unshift(...nested);
  }
  return pages.filter((page) => page !== '').join('\n');
}

function partPage({ path, schema }: Part, known: Map<string, string>, nested: Part[]): string {
  const rows = Object.entries(schema.properties ?? {}).map(([name, field]) => {
    const object = objectWithin(field);
    let more = '';
    if (object !== undefined) {
      const identity = JSON.stringify([object.schema.properties, object.schema['x-kubernetes-validations']]);
      const place = known.get(identity) ?? `${path}.${name}${object.suffix}`;
      if (!known.has(identity)) nested.push({ path: place, schema: object.schema });
      known.set(identity, place);
      more = ` See [${place}](#${anchor(place)}).`;
    }
    const isRequired = schema.required?.includes(name) === true;
    const shown = isRequired ? `**${name}**` : name;
    return `| ${shown} | ${typeOf(field)} | ${defaultOf(field)} | ${cell(`${field.description ?? ''}${more}`)} |`;
  });
  const table = ['| field | type | default | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
  const rules = [schema, ...Object.values(schema.properties ?? {}).filter((field) => objectWithin(field) === undefined)]
    .flatMap(rulesOf)
    .map(({ message }) => message);
  return `## ${path}\n\n${schema.description ?? ''}\n\n${table}\n${rules.length > 0 ? `\n${ruleList(rules)}` : ''}`;
}

/** Rules of a value, and of the values within that have no section of their own. */
function rulesOf(schema: StructuralSchema): readonly { message: string }[] {
  const within = [schema.items, schema.additionalProperties].filter((inner) => inner?.properties === undefined);
  return [...(schema['x-kubernetes-validations'] ?? []), ...within.flatMap((inner) => (inner ? rulesOf(inner) : []))];
}

function ruleList(messages: readonly string[]): string {
  if (messages.length === 0) return '';
  return `Rules:\n\n${[...new Set(messages)].map((message) => `- ${message}`).join('\n')}\n`;
}

function objectWithin(field: StructuralSchema): { schema: StructuralSchema; suffix: string } | undefined {
  if (field.properties !== undefined) return { schema: field, suffix: '' };
  if (field.items?.properties !== undefined) return { schema: field.items, suffix: '[]' };
  return undefined;
}

function typeOf(field: StructuralSchema): string {
  if (field.enum !== undefined) return field.enum.map((word) => `\`${word}\``).join(', ');
  if (field['x-kubernetes-int-or-string'] === true) return 'integer or string';
  if (field.items !== undefined) return `list of ${typeOf(field.items)}${bounds(field.minItems, field.maxItems)}`;
  if (field.additionalProperties !== undefined) return `map of ${typeOf(field.additionalProperties)}`;
  if (field.type === 'integer') return `integer${bounds(field.minimum, field.maximum)}`;
  if (field.format === 'date-time') return 'time';
  return field.type ?? 'any';
}

function bounds(least: number | undefined, most: number | undefined): string {
  if (most === undefined) return '';
  return least === undefined ? `, at most ${most}` : `, ${least} to ${most}`;
}

function defaultOf(field: StructuralSchema): string {
  // The defaults of an object's fields stand with them.
  return field.default === undefined || field.properties !== undefined ? '' : `\`${JSON.stringify(field.default)}\``;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

/** As GitHub makes it of a heading. */
function anchor(heading: string): string {
  return heading.toLowerCase().replaceAll(/[^a-z0-9 _-]/g, '');
}
