/** For docs.test.ts: the pages, what their blocks and tables claim, and the club that all examples are about. */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { runTestText } from '../../cli/test-config/run.ts';
import { loadServiceConfig } from '#core/platform/config/load.ts';
import { compileSyncConfig } from '#core/sync-config/compile.ts';
import type { CompileResult } from '#core/sync-config/contract.ts';
import { matchesTable } from '#core/sync-config/evaluate/matches-table.ts';
import { blocksOf, type Block } from '#core/sync-config/testing/markdown.ts';
import { printFindings } from '#core/sync-config/testing/mistakes.ts';

const FOLDER = fileURLToPath(new URL('./', import.meta.url));

export interface Page {
  readonly name: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  readonly tables: readonly Table[];
}

/** A table of Markdown; code spans without their backticks. */
export interface Table {
  /** Of the nearest heading above it. */
  readonly heading: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function readPages(): Page[] {
  const names = globSync('*.md', { cwd: FOLDER }).toSorted();
  return names.map((name) => {
    const text = readFileSync(`${FOLDER}${name}`, 'utf8');
    return { name, text, blocks: blocksOf(text), tables: tablesOf(text) };
  });
}

/** Writes into the text blocks what is printed for the configs above them. */
export function updateFindings({ name, text, blocks }: Page): void {
  const lines = text.split('\n');
  for (const [at, block] of [...blocks.entries()].toReversed()) {
    const above = blocks[at - 1];
    if (block.info !== 'text' || above === undefined) continue;
    const printed = printFindings(above.text, compile(above.text)).split('\n').slice(0, -1);
    lines.splice(block.line, block.text.split('\n').length - 1, ...printed);
  }
  writeFileSync(`${FOLDER}${name}`, lines.join('\n'));
}

function tablesOf(markdown: string): Table[] {
  const tables: { heading: string; columns: string[]; rows: string[][] }[] = [];
  let heading = '';
  let open: { heading: string; columns: string[]; rows: string[][] } | null = null;
  for (const line of markdown.replaceAll(/^```[^]*?^```$/gm, '').split('\n')) {
    if (line.startsWith('#')) heading = line.replace(/^#+ /, '');
    if (!line.startsWith('|')) {
      open = null;
      continue;
    }
    const cells = cellsOf(line);
    if (open === null) tables.push((open = { heading, columns: cells, rows: [] }));
    else if (!cells.every((cell) => /^-+$/.test(cell))) open.rows.push(cells);
  }
  return tables;
}

function cellsOf(line: string): string[] {
  const cells = line.split(/(?<!\\)\|/).slice(1, -1);
  return cells.map((cell) =>
    cell
      .trim()
      .replaceAll('\\|', '|')
      .replace(/^`(.*)`$/, '$1'),
  );
}

/** As a service with one Postgres connection. */
export function compile(config: string): CompileResult {
  return compileSyncConfig(config, {
    defaultSource: 'default',
    sources: ['default'],
    defaultSchemas: { default: 'public' },
  });
}

export const codesOf = ({ diagnostics }: CompileResult): string[] =>
  diagnostics.map(({ code }) => code.replace('PSYNC_', ''));

const indented = (text: string, by: string): string => text.replaceAll(/^(?=.)/gm, by);

export function streamOf(query: string): string {
  return `config:\n  edition: 3\nstreams:\n  s:\n    auto_subscribe: true\n    query: |-\n${indented(query, '      ')}\n`;
}

/** The rows and the session that README.md introduces. */
export interface Club {
  readonly tables: Readonly<Record<string, readonly unknown[]>>;
  readonly ben: { readonly token: unknown; readonly connection: unknown; readonly subscription: unknown };
}

export function readClub(readme: Page): Club {
  const block = (info: string): string => readme.blocks.find((item) => item.info === info)?.text ?? '';
  return {
    tables: (parse(block('yaml tables')) as { tables: Club['tables'] }).tables,
    ben: parse(block('yaml ben')) as Club['ben'],
  };
}

/**
 * What is wrong; empty when every test of the text passes, without findings but these codes. Rows of the club where the text has no
 * tables.
 */
export async function runTests(
  config: string,
  tests: string,
  club: Club,
  codes: readonly string[] = [],
): Promise<string[]> {
  const parts = [`sync_config_content: |\n${indented(config, '  ')}`, tests];
  if (!/^tables:/m.test(tests)) parts.splice(1, 0, stringify({ tables: clubTables(config, club) }));
  const result = await runTestText(parts.join('\n'));
  const failed = result.tests
    .filter(({ passed }) => !passed)
    .map(({ name, differences }) => `${name}: ${JSON.stringify(differences)}`);
  const found = result.findings.filter(({ code }) => !codes.includes(code)).map(({ text }) => text);
  const absent = codes.filter((code) => !result.findings.some((finding) => finding.code === code));
  const problems = [...found, ...absent.map((code) => `${code} was not found`), ...failed];
  return result.tests.length === 0 ? [...problems, 'no test was run'] : problems;
}

function clubTables(config: string, { tables }: Club): Club['tables'] {
  const patterns = compile(config).plan?.tables ?? [];
  const read = (name: string): boolean =>
    patterns.some((pattern) => matchesTable(pattern, { source: 'default', schema: 'public', name }));
  return Object.fromEntries(Object.entries(tables).filter(([name]) => read(name)));
}

/** What Ben gets of the only stream or definition, `s`: ids of its only client table (null: not asked), and the number of his buckets. */
export function benTest(
  config: string,
  { ids, buckets }: { readonly ids: readonly string[] | null; readonly buckets: number | null },
  { ben }: Club,
): string {
  const { plan } = compile(config);
  const table = plan?.buckets[0]?.rules[0]?.objectType ?? '';
  const isDefault = plan?.streams[0]?.autoSubscribe === true && plan.streams[0].legacy;
  const test = {
    name: 'what Ben gets',
    token: ben.token,
    connection: ben.connection,
    defaults: isDefault,
    subscriptions: isDefault ? [] : [{ stream: 's', parameters: ben.subscription }],
    ...(ids === null ? {} : { expect: { s: ids.length === 0 ? {} : { [table]: ids } } }),
    ...(buckets === null ? {} : { buckets }),
  };
  return stringify({ tests: [test] });
}

/** Null when a service starts with this part of its configuration: unknown keys and values stop it. */
export async function serviceConfigProblem(part: string): Promise<string | null> {
  const rest = {
    replication: { connections: [{ type: 'postgresql', uri: 'postgresql://reader:secret@localhost/club' }] },
    storage: { type: 'postgresql', uri: 'postgresql://writer:secret@localhost/storage' },
    sync_config: { content: streamOf('SELECT * FROM clubs') },
    client_auth: { jwks_uri: 'https://id.example.org/jwks.json', audience: ['club'] },
  };
  const base64 = Buffer.from(stringify({ ...rest, ...(parse(part) as object) })).toString('base64');
  try {
    await loadServiceConfig({ flags: { base64 }, environment: {}, workingFolder: FOLDER });
    return null;
  } catch (error) {
    return String(error);
  }
}
