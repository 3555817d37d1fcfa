/** One row for somebody who asks about it: by its identity, or by a column that holds a text. */
import type pg from 'pg';
import type { FoundRow, FoundRows, RowQuery } from '../contract.ts';
import { rowFaultText } from '../values/row-fault.ts';
import { sqlState } from './errors.ts';
import { asText } from './fetch-row.ts';
import type { Layouts } from './layouts.ts';
import { findTables, type FoundTable } from './published-tables.ts';
import { faultOf } from './row-limits.ts';
import { buildRow, keyTexts, rowKey, rowOfTexts, type RowLayout } from './rows.ts';
import type { ServerFacts } from './server.ts';
import type { SideQueries } from './side-queries.ts';
import { qualifiedName, quoteIdentifier } from './tables.ts';

/** Rows of one search; more than one is already a surprise. */
const MOST_ROWS = 3;
/** A column without an index is searched row by row. */
const TIMEOUT_MS = 5_000;
const TIMED_OUT = '57014';

export async function findRows(
  dependencies: { readonly queries: SideQueries; readonly facts: ServerFacts; readonly layouts: Layouts },
  query: RowQuery,
  timeoutMs = TIMEOUT_MS,
): Promise<FoundRows> {
  const { queries, facts, layouts } = dependencies;
  const isAsked = ({ schema, name }: { schema: string; name: string }): boolean =>
    schema === query.schema && name === query.name;
  const { tables, reports } = await queries.using('Reading a table of the source', (client) =>
    findTables(client, facts, layouts.source, isAsked),
  );
  const [found] = tables;
  const report = reports[0] ?? null;
  if (found === undefined) return { table: null, report, rows: [], unsearched: [] };
  const layout = await layouts.of(found.published, layouts.latest(found.published.oid));
  const rows = new Map<string, FoundRow>();
  const unsearched: string[] = [];
  for (const search of searches(layout, query)) {
    if (rows.size >= MOST_ROWS) break;
    const texts = await queries.using('Reading one row of the source', (client) =>
      select(client, found, search, timeoutMs),
    );
    if (texts === 'timed out') unsearched.push(search.by ?? '');
    else
      for (const row of texts.map((text) => foundRow(layout, text, search.by)))
        if (!rows.has(row.key)) rows.set(row.key, row);
  }
  return { table: layout.table, report, rows: [...rows.values()], unsearched };
}

interface Search {
  /** Column names with the text each must equal. */
  readonly equal: readonly (readonly [column: string, text: string])[];
  readonly by: string | null;
}

function searches({ table, published }: RowLayout, { text, columns }: RowQuery): Search[] {
  const found: Search[] = [];
  if (table.identity === 'key') {
    const texts = identityTexts(table, text);
    if (texts !== null)
      found.push({ by: null, equal: texts.map((value, at) => [table.columns[table.identityColumns[at]!]!, value]) });
  }
  for (const name of new Set(columns)) {
    if (published.columns.some((column) => column.name === name)) found.push({ by: name, equal: [[name, text]] });
  }
  return found;
}

/** Null when the text cannot be an identity of the table. */
function identityTexts(table: RowLayout['table'], text: string): string[] | null {
  try {
    const texts = keyTexts(table, text);
    const isWhole = Array.isArray(texts) && texts.length === table.identityColumns.length;
    return isWhole && texts.every((value) => typeof value === 'string') ? [...texts] : null;
  } catch {
    return null;
  }
}

/** Texts of the columns, and in the end whether the publication shows the row. */
type Texts = readonly (string | null)[];

async function select(
  client: pg.Client,
  { published, rowFilter }: FoundTable,
  { equal }: Search,
  timeoutMs: number,
): Promise<readonly Texts[] | 'timed out'> {
  const columns = published.columns.map(({ name }) => quoteIdentifier(name)).join(', ');
  const conditions = equal.map(([column], at) => `${quoteIdentifier(column)} = $${at + 1}`).join(' AND ');
  const shown = rowFilter === null ? 'true' : `(${rowFilter}) IS TRUE`;
  await client.query(`BEGIN READ ONLY; SET LOCAL statement_timeout = ${timeoutMs}`);
  try {
    const { rows } = await client.query<(string | null)[]>({
      text: `SELECT ${columns}, ${shown} FROM ONLY ${qualifiedName(published)} WHERE ${conditions} LIMIT ${MOST_ROWS}`,
      values: equal.map(([, text]) => text),
      rowMode: 'array',
      types: asText,
    });
    return rows;
  } catch (error) {
    const state = sqlState(error);
    if (state === TIMED_OUT) return 'timed out';
    // a text that is no value of the column's type, or a type without equality: no row has it
    if (state?.startsWith('22') === true || state === '42883') return [];
    throw error;
  } finally {
    await client.query('ROLLBACK');
  }
}

function foundRow(layout: RowLayout, texts: Texts, by: string | null): FoundRow {
  const row = rowOfTexts(texts.slice(0, -1));
  const fault = faultOf(layout, row, row.bytes.length);
  return {
    key: rowKey(layout, row),
    row: fault === null ? buildRow(layout, row) : null,
    fault: fault === null ? null : { code: fault.code, message: rowFaultText(fault) },
    shown: texts.at(-1) === 't',
    by,
  };
}
