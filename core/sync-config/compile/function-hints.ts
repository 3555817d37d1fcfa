/** Functions of other dialects, and what to write instead (S-129). */
import { FUNCTION_NAMES, functionDefinition } from '../evaluate/functions.ts';
import { SqlError, type Expr } from '../sql/ast.ts';
import { nearest } from './nearest.ts';

const words = (list: string): string[] => list.split(/\s+/);

const PRESENT = new Set(
  words(
    `now current_timestamp current_date current_time localtime localtimestamp clock_timestamp transaction_timestamp
    statement_timestamp getdate getutcdate sysdate sysdatetime curdate curtime utc_timestamp`,
  ),
);

/** Of each line: names, and what to write. */
const HINTS: readonly (readonly [names: string, hint: string])[] = [
  ['coalesce nvl isnull', 'write ifnull(x, y)'],
  ['concat concat_ws textcat', 'write x || y'],
  [
    'date strftime to_char date_trunc date_part extract year month day date_format',
    'take a part of the text: substring(x, 1, 10)',
  ],
  ['time hour minute second', 'take a part of the text: substring(x, 12, 8)'],
  ['to_timestamp from_unixtime', "write datetime(x, 'unixepoch')"],
  ['unix_timestamp epoch julianday', 'write unixepoch(x)'],
  [
    'count sum min max avg total group_concat string_agg array_agg json_agg jsonb_agg json_group_array json_group_object bool_or bool_and every',
    'aggregates are not supported, since expressions see one row only',
  ],
  ['row_number rank dense_rank lag lead first_value last_value', 'expressions see one row only'],
  ['any some all', 'write x IN array'],
  ['array_contains json_contains contains', 'write x IN array'],
  ['if', 'write iif(condition, x, y)'],
  ['nullif', 'write iif(x = y, NULL, x)'],
  ['greatest', 'write iif(x > y, x, y)'],
  ['least', 'write iif(x < y, x, y)'],
  ['abs', 'write iif(x < 0, -x, x)'],
  ['round trunc floor ceil ceiling int', 'write CAST(x AS integer), which cuts the fraction off'],
  ['len char_length character_length', 'write length(x)'],
  ['ucase', 'write upper(x)'],
  ['lcase', 'write lower(x)'],
  ['left mid', 'write substring(x, 1, n)'],
  ['right', 'write substring(x, -n)'],
  ['position strpos charindex locate', 'write instr(text, part)'],
  ['starts_with startswith', 'write substring(x, 1, n) = y'],
  ['array_length cardinality jsonb_array_length', 'write json_array_length(x)'],
  ['json_object_keys jsonb_object_keys', 'write json_keys(x)'],
  [
    'json_value json_query jsonb_extract_path jsonb_extract_path_text json_extract_path json_extract_path_text',
    "write x ->> 'key'",
  ],
  ['unnest json_array_elements jsonb_array_elements json_tree', 'write json_each(x) in FROM'],
  ['convert to_number', 'write CAST(x AS type)'],
  ['random rand gen_random_uuid uuid newid randomblob', 'the same row must always give the same result'],
  ['user_id uid current_user session_user', 'write auth.user_id(), in parameter queries request.user_id()'],
  ['jwt claim', "write auth.parameter('name'), in parameter queries request.jwt() ->> 'name'"],
  ['parameter', "write auth.parameter('name'), subscription.parameter('name') or connection.parameter('name')"],
];
const BY_NAME = new Map(HINTS.flatMap(([names, hint]) => words(names).map((name) => [name, hint] as const)));

/** PSYNC_R2203, or PSYNC_R2214 for the present time. */
export function unknownFunction({ name }: Expr & { kind: 'call' }): SqlError {
  if (PRESENT.has(name.text)) return presentTime(`${name.written}()`, name);
  const hint = BY_NAME.get(name.text) ?? typo(name.text);
  const all = 'docs/sync-config/expressions.md lists those that there are';
  return new SqlError('PSYNC_R2203', `There is no function ${name.written}(); ${hint ?? all}.`, name);
}

function typo(name: string): string | null {
  const near = nearest(name, FUNCTION_NAMES);
  return near === null ? null : `write ${functionDefinition(near)?.usage ?? `${near}(data, path)`}`;
}

const WITHOUT_PARENTHESES: readonly string[] = ['current_timestamp', 'current_date', 'current_time'];

/** Throws PSYNC_R2214 for what standard SQL reads as the present time, though it looks like a column (S-120). In quotes it is one. */
export function rejectPresentTime({ table, name }: Expr & { kind: 'column' }): void {
  if (table === null && !name.quoted && WITHOUT_PARENTHESES.includes(name.text)) throw presentTime(name.written, name);
}

function presentTime(what: string, span: { start: number; end: number }): SqlError {
  const message = `${what} is the present time; queries cannot depend on it. Pass a time of the row.`;
  return new SqlError('PSYNC_R2214', message, span);
}
