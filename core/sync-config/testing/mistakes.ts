/** The corpus of wrong configs in `mistakes/`: how an entry is written, and what it says. */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compileSyncConfig } from '../compile.ts';
import type { CompileResult } from '../contract.ts';
import { describeDiagnostic } from '../excerpt.ts';
import type { SourceTable } from '../values.ts';
import { blocksOf } from './markdown.ts';

const FOLDER = fileURLToPath(new URL('../mistakes/', import.meta.url));

/** One mistake: heading, why it is one, the config, what is printed for it, and what to write instead. */
export interface Mistake {
  readonly heading: string;
  readonly why: string;
  readonly config: string;
  /** Empty: not written yet. */
  readonly printed: string;
  readonly instead: string | null;
  /** Null: the tables of the source are not known. */
  readonly schema: readonly SourceTable[] | null;
}
export interface MistakesFile {
  readonly path: string;
  readonly text: string;
  readonly introduction: string;
  readonly mistakes: readonly Mistake[];
}

export function readMistakes(): MistakesFile[] {
  const paths = globSync('*.md', { cwd: FOLDER }).filter((name) => name !== 'README.md');
  return paths.toSorted().map((name) => {
    const text = readFileSync(`${FOLDER}${name}`, 'utf8');
    const [introduction = '', ...entries] = text.split(/^## /m);
    return { path: `${FOLDER}${name}`, text, introduction, mistakes: entries.map(readMistake) };
  });
}

function readMistake(entry: string): Mistake {
  const [heading = ''] = entry.split('\n', 1);
  const why = entry.slice(heading.length, entry.indexOf('```')).trim();
  const [config, ...rest] = blocksOf(entry);
  if (config?.info !== 'yaml') throw new Error(`${heading}: the first block must be a yaml block`);
  const printed = rest[0]?.info === 'text' ? rest.shift() : undefined;
  const instead = rest[0]?.info === 'yaml' && rest[0].before === 'Instead:' ? rest.shift() : undefined;
  if (rest.length > 0) throw new Error(`${heading}: expected yaml, text, and perhaps "Instead:" with yaml`);
  return {
    heading,
    why,
    config: config.text,
    printed: printed?.text ?? '',
    instead: instead?.text ?? null,
    schema: schemaOf(why),
  };
}

/** From a line such as: Tables of the source: `boats(id, ownerId)`, `archive.trips(id)`. */
function schemaOf(why: string): SourceTable[] | null {
  const line = /^Tables of the source: (.*)$/m.exec(why)?.[1];
  if (line === undefined) return null;
  return [...line.matchAll(/`(?:(\w+)\.)?(\w+)\(([^)]*)\)`/g)].map(([, schema, name = '', columns = '']) => ({
    source: 'default',
    schema: schema ?? 'public',
    name,
    columns: columns.split(', '),
  }));
}

/** The whole file again, with these texts as what is printed. */
export function renderMistakes({ introduction, mistakes }: MistakesFile, printed: readonly string[]): string {
  const entries = mistakes.map(({ heading, why, config, instead }, at) => {
    const parts = [`## ${heading}`, why, fenced('yaml', config), fenced('text', printed[at] ?? '')];
    if (instead !== null) parts.push('Instead:', fenced('yaml', instead));
    return parts.join('\n\n');
  });
  return `${introduction}${entries.join('\n\n')}\n`;
}
const fenced = (info: string, text: string): string => `\`\`\`${info}\n${text}\`\`\``;

/** As a service with one Postgres connection compiles it. */
export function compileMistake(config: string, schema: readonly SourceTable[] | null): CompileResult {
  const options = { defaultSource: 'default', sources: ['default'], defaultSchemas: { default: 'public' } };
  return compileSyncConfig(config, schema === null ? options : { ...options, schema });
}

/** What `millrace validate` prints of the findings. */
export function printFindings(config: string, { diagnostics }: CompileResult): string {
  return diagnostics.map((found) => `${describeDiagnostic('sync-config.yaml', config, found)}\n`).join('');
}
