/** For docs.test.ts: what blocks and tables of a page claim, as something that can be asked and what must come of it. */
import { stringify } from 'yaml';
import { expressionOf } from '#core/sync-config/testing/support.ts';
import { printFindings } from '#core/sync-config/testing/mistakes.ts';
import type { Block } from '#core/sync-config/testing/markdown.ts';
import type { SqliteValue } from '#core/sync-config/values.ts';
import {
  benTest,
  codesOf,
  compile,
  runTests,
  serviceConfigProblem,
  streamOf,
  type Club,
  type Page,
  type Table,
} from './pages.fixture.ts';

export interface Claim {
  readonly name: string;
  readonly expected: unknown;
  readonly actual: () => unknown;
}

/** Blocks that only docs.test.ts itself reads. */
const DATA = ['yaml tables', 'yaml ben'];

export function blockClaims({ blocks }: Page, club: Club): Claim[] {
  const claims: Claim[] = [];
  let config = '';
  for (const [at, block] of blocks.entries()) {
    if (DATA.includes(block.info)) continue;
    const name = `line ${block.line}: ${block.info}`;
    claims.push(...blockClaim(block, blocks[at - 1], { config, club }).map((claim) => ({ name, ...claim })));
    if (/^yaml($| warns | refused )/.test(block.info)) config = block.text;
  }
  return claims;
}

type Content = Omit<Claim, 'name'> & { readonly name?: string };

/** The codes behind `warns` and `refused`, and whether there is a plan. */
function compiled(info: string, config: string): Content {
  const codes = info.match(/R\d+/g) ?? [];
  return {
    expected: { codes, refused: info.includes(' refused ') },
    actual: () => {
      const result = compile(config);
      return { codes: codesOf(result), refused: result.plan === null };
    },
  };
}

function blockClaim(
  { info, text, line }: Block,
  above: Block | undefined,
  { config, club }: { config: string; club: Club },
): Content[] {
  if (/^yaml($| warns | refused )/.test(info)) return [compiled(info, text)];
  if (/^sql($| warns | refused )/.test(info)) {
    const queries = text.trim().split(/\n\n+/);
    return queries.map((query) => ({ name: `line ${line}: ${query}`, ...compiled(info, streamOf(query)) }));
  }
  if (/^yaml test($| warns )/.test(info)) {
    const codes = (info.match(/R\d+/g) ?? []).map((code) => `PSYNC_${code}`);
    return [{ expected: [], actual: () => runTests(config, text, club, codes) }];
  }
  if (info === 'text' && above?.text === config)
    return [{ expected: text, actual: () => printFindings(config, compile(config)) }];
  if (info === 'yaml service') return [{ expected: null, actual: () => serviceConfigProblem(text) }];
  if (info === 'sql source') return [{ expected: null, actual: () => /^SELECT .*/m.exec(text) }];
  return [{ expected: 'a kind of block that can be checked', actual: () => info }];
}

/** Tables that claim something are known by their columns. */
export function tableClaims({ tables }: Page, club: Club): Claim[] {
  return tables.flatMap((table) => {
    if (table.columns.includes('Form with a CTE')) return rowsOf(table).map((row) => cteClaim(row, club));
    if (table.columns.includes('Parameter query')) return rowsOf(table).map((row) => parameterClaim(row, club));
    if (table.columns.includes('Table in the app')) return rowsOf(table).map(namesClaim);
    if (table.columns.includes('Ben gets')) return rowsOf(table).map((row) => benClaim(row, club));
    if (table.columns.indexOf('Code') > 0) return rowsOf(table).map(refusal);
    return table.columns.includes('Result') ? rowsOf(table).map(example) : [];
  });
}

type Row = Readonly<Record<string, string>>;
function rowsOf({ columns, rows }: Table): Row[] {
  return rows.map((cells) => Object.fromEntries(columns.map((column, at) => [column, cells[at] ?? ''])));
}

/** A query, or a condition on trips. */
function queryOf({ Query, Condition = '' }: Row): string {
  const query = Query ?? Condition;
  return query.startsWith('SELECT') ? query : `SELECT * FROM trips WHERE ${query}`;
}

function benClaim(row: Row, club: Club): Claim {
  const query = queryOf(row);
  return rowsClaim(query, streamOf(query), row, club);
}

/** What Ben gets of the only stream of a config. */
function rowsClaim(name: string, config: string, { 'Ben gets': given = '', Buckets: buckets }: Row, club: Club): Claim {
  const ids = given === 'nothing' ? [] : given.split(' ');
  const test = benTest(config, { ids, buckets: buckets === undefined ? null : Number(buckets) }, club);
  return {
    name: `Ben gets ${given} of ${name}`,
    expected: [],
    // what clients could ask for without a token is shown, too
    actual: async () => (await runTests(config, test, club)).filter((item) => !item.includes('PSYNC_R2401')),
  };
}

/** A condition on trips, or what follows SELECT trips.*, with the CTEs of ctes.md. */
function cteClaim(row: Row, club: Club): Claim {
  const { 'Form with a CTE': form = '' } = row;
  const query = form.startsWith('FROM') ? `SELECT trips.* ${form}` : queryOf({ Condition: form });
  const ctes = {
    my_boats: 'SELECT boat_id FROM crew WHERE sailor_id = auth.user_id()',
    my_crews: 'SELECT boat_id, role FROM crew WHERE sailor_id = auth.user_id()',
  };
  return rowsClaim(form, stringify({ config: { edition: 3 }, streams: { s: { with: ctes, query } } }), row, club);
}

/** How many buckets Ben has of a parameter query. */
function parameterClaim({ 'Parameter query': query = '', Buckets: buckets }: Row, club: Club): Claim {
  const columns = query.slice('SELECT '.length, query.search(/ ?(FROM|WHERE|$)/));
  const names = columns.split(',').map((column) => column.trim().split(' ').at(-1) ?? '');
  const conditions = names.filter((name) => name !== '').map((name) => `id = bucket.${name}`);
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const definition = { parameters: query, data: `SELECT * FROM sailors${where}` };
  const config = stringify({ bucket_definitions: { s: definition } });
  const test = benTest(config, { ids: null, buckets: Number(buckets) }, club);
  return { name: `${buckets} of ${query}`, expected: [], actual: () => runTests(config, test, club) };
}

/** Table and columns in the app; and which table is read. */
function namesClaim({ Query: query = '', Reads: reads, 'Table in the app': table, Columns: columns = '' }: Row): Claim {
  const star = 'as in the source';
  const names = columns.replaceAll('`', '').split(/, (?:and )?/);
  return {
    name: `${query} is ${table}`,
    expected: [{ table, reads: reads ?? null, columns: names }],
    actual: () =>
      (compile(streamOf(query)).plan?.buckets ?? [])
        .flatMap((bucket) => bucket.rules)
        .map((rule) => ({
          table: rule.objectType ?? rule.table.name,
          reads: reads === undefined ? null : rule.table.name,
          columns: rule.outputs.map((output) => (output.kind === 'star' ? star : output.name)),
        })),
  };
}

function refusal(row: Row): Claim {
  const query = queryOf(row);
  return { name: `refused: ${query}`, ...compiled(`sql refused ${row['Code']}`, streamOf(query)) };
}

function example({ Example = '', Result }: Row): Claim {
  return { name: `${Example} is ${Result}`, expected: Result, actual: () => literal(expressionOf(Example, [])([])) };
}

/** A value as SQL writes it. */
function literal(value: SqliteValue): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`;
  if (typeof value === 'object') return `x'${Buffer.from(value).toString('hex')}'`;
  return typeof value === 'number' && Number.isInteger(value) ? `${value}.0` : String(value);
}
