/** client-schemas.md at its word: what it shows is generated from what it shows, its commands and names exist. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SCHEMA_LANGUAGES } from '../../cli/generate-schema/contract.ts';
import { SCHEMA_EMITTERS } from '../../cli/generate-schema/registry.ts';
import { clientSchema } from '#core/sync-config/client-schema.ts';
import { compileSyncConfig } from '#core/sync-config/compile.ts';
import { valueTypeOf } from '#core/sync-config/source-types/value-type-of.ts';
import { blocksOf } from '#core/sync-config/testing/markdown.ts';
import { runMillrace } from '../../test/instance/command.ts';

const page = readFileSync(new URL('client-schemas.md', import.meta.url), 'utf8');
const blocks = blocksOf(page);
const block = (info: string): string => blocks.find((item) => item.info === info)!.text;

/** The tables that the page creates, one statement a line. */
const tables = [...block('sql source').matchAll(/^CREATE TABLE (\w+) \((.*)\);$/gm)].map(([, name, definition]) => {
  const columns = definition!.split(', ').map((column) => column.split(' ') as [string, string]);
  return {
    source: 'default',
    schema: 'public',
    name: name!,
    columns: columns.map(([column]) => column),
    types: columns.map(([, type]) => valueTypeOf('postgresql', type)),
  };
});
const { plan, diagnostics } = compileSyncConfig(block('yaml'), {
  defaultSource: 'default',
  sources: ['default'],
  defaultSchemas: { default: 'public' },
  schema: tables,
});
const schema = clientSchema(plan!, tables);

test('the file is what is generated', () => {
  expect(tables).toHaveLength(2);
  expect(diagnostics.filter(({ code }) => code !== 'PSYNC_R2401').map(({ message }) => message)).toEqual([
    expect.stringContaining('captain'),
  ]);
  expect(block('ts')).toBe(SCHEMA_EMITTERS.ts(schema));
});

test('every language has its row, with the name of its function', () => {
  const rows = [...page.matchAll(/^\| (`\w+`(?:, `\w+`)*) \|.*\| (?:`(.*)`|the same) \|$/gm)];
  const languages = rows.flatMap(([, names]) => [...names!.matchAll(/\w+/g)].map(([name]) => name));
  expect(languages).toEqual(SCHEMA_LANGUAGES);
  for (const [, names, call] of rows) {
    const language = SCHEMA_LANGUAGES.find((name) => names!.startsWith(`\`${name}\``))!;
    const called = call === undefined ? ['trips_of_boat'] : [...call.matchAll(/\w+(?=\()/g)].map(([name]) => name);
    const text = SCHEMA_EMITTERS[language](schema);
    // JsonParam.String is the SDK's
    for (const name of called.filter((name) => name !== 'String' && name !== 'string'))
      expect(text).toMatch(new RegExp(`\\b${name}\\b`));
  }
});

test('its options are those of the command', async () => {
  const { output } = await runMillrace('generate', 'schema', '--help');
  const used = new Set([...page.matchAll(/(?<=[\s`])--?[a-z][a-z-]*/g)].map(([option]) => option));
  expect(used).toEqual(new Set(['-c', '--output', '--output-path', '--sync-config-file-path']));
  for (const option of used) expect(output).toContain(option);
});
