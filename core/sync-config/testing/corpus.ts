/** For tests: every query that the repository shows: in its documents, its demo, and the texts of its tests. */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { printSelect } from './print-sql.ts';
import { compileUnit, configOf, parseOrNone, unitsOf, type QueryUnit } from './query-units.ts';
import type { Select } from '../sql/ast.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const FILES = [
  '*.md',
  'docs/**/*.md',
  'demo/*.yaml',
  'core/sync-config/**/*.{md,test.ts}',
  '{cli,api-worker,replicator,test}/**/*.test.ts',
  'bench/**/*.ts',
];

/** Accepted units, each once. */
export function readCorpus(): QueryUnit[] {
  const configs = new Set<string>();
  const queries = new Set<string>();
  for (const path of globSync(FILES, { cwd: ROOT, exclude: ['**/node_modules'] }).toSorted()) {
    const text = readFileSync(`${ROOT}${path}`, 'utf8');
    for (const config of configsIn(text)) configs.add(config);
    for (const query of queriesIn(text)) queries.add(query);
  }
  const found = [...[...configs].flatMap(unitsOf), ...[...queries].flatMap(parseOrNone).flatMap(unitsOfQuery)];
  return [...new Map(found.map((unit) => [configOf(unit), unit])).values()];
}

function configsIn(text: string): string[] {
  const blocks = [
    ...text.matchAll(/^```yaml[^\n]*\n(.*?)^```/gms),
    ...text.matchAll(/`([^`]*(?:streams|bucket_definitions):[^`]*)`/gs),
  ].map(([, config = '']) => config.replaceAll('\\n', '\n'));
  return /^(?:streams|bucket_definitions):/m.test(text) ? [...blocks, text] : blocks;
}
const queriesIn = (text: string): string[] =>
  [...text.matchAll(/(["'`])(SELECT\b(?:\\.|(?!\1).)*)\1/gis)].map(([, , query = '']) =>
    query.replaceAll(/\\(.)/g, '$1'),
  );

/** A query on its own may be one of a stream, a data query or a parameter query. */
function unitsOfQuery(select: Select): QueryUnit[] {
  const text = printSelect(select);
  const bucket = [...new Set([...text.matchAll(/\bbucket\.(\w+)/g)].map(([, name = '']) => name))];
  const parameters = parseOrNone(`SELECT ${bucket.map((name) => `request.user_id() AS ${name}`).join(', ')}`);
  const selected = select.items.flatMap((item) => {
    const name = item.kind === 'star' ? null : (item.alias ?? (item.expr.kind === 'column' ? item.expr.name : null));
    return name === null || name.text === '_priority' ? [] : [name.text];
  });
  const where = selected.map((name) => `"${name}" = bucket."${name}"`).join(' AND ');
  const data = parseOrNone(`SELECT * FROM synced${where === '' ? '' : ` WHERE ${where}`}`);
  const candidates: QueryUnit[] = [
    { kind: 'stream', ctes: new Map(), query: select },
    { kind: 'definition', parameters: bucket.length === 0 ? [] : parameters, data: [select] },
    { kind: 'definition', parameters: [select], data },
  ];
  return candidates.filter((unit) => compileUnit(unit) !== null);
}
