import { describe, expect, test } from 'vitest';
import { FUNCTION_NAMES } from '../evaluate/functions.ts';
import { compile, streamOf } from '../testing/support.ts';
import { nearest } from './nearest.ts';

const messagesOf = (config: string): string[] => compile(config).diagnostics.map(({ message }) => message);
const ofCondition = (condition: string): string[] => messagesOf(streamOf(`SELECT * FROM t WHERE ${condition}`));
const ofParameters = (condition: string): string[] =>
  messagesOf(
    `bucket_definitions:\n  b:\n    parameters: ${JSON.stringify(`SELECT a AS x FROM m WHERE ${condition}`)}\n    data: SELECT * FROM t WHERE x = bucket.x\n`,
  );
const ofData = (condition: string): string[] =>
  messagesOf(
    `bucket_definitions:\n  b:\n    parameters: SELECT request.user_id() AS "boatId", 1 AS x, 2 AS club\n    data: ${JSON.stringify(`SELECT * FROM t WHERE ${condition}`)}\n`,
  );

describe('findings say what to write instead', () => {
  test.each([
    ['auth.user_id', 'auth.user_id is a function; write auth.user_id().'],
    ['auth.parameters', 'write auth.parameters().'],
    ['auth.role', "write auth.parameter('role')."],
    ['subscription.boatId', "write subscription.parameter('boatId')."],
    ['connection.parameter', "connection.parameter is a function; write connection.parameter('name')."],
    ['request.jwt', 'write auth.parameters().'],
    ['request.parameters', 'write connection.parameters().'],
    ['token_parameters.user_id', 'write auth.user_id().'],
    ['token_parameters.role', "write auth.parameter('parameters') ->> 'role'."], // S-227
    ['user_parameters.day', "write connection.parameter('day')."],
    ['bucket.owner', 'bucket.owner is not known here'],
    ["subscription.parameters('x')", "Write subscription.parameter('x')."],
    ["auth.parameters('it''s')", "Write auth.parameter('it''s')."],
    ['auth.parameters(1)', 'Write auth.parameters() without arguments.'],
    ['"auth".role', 'There is no table or alias "auth" here'],
  ])('%s in a stream', (value, message) => {
    expect(ofCondition(`a = ${value}`)).toEqual([expect.stringContaining(message)]);
  });

  test.each([
    ['auth.user_id', 'write request.user_id().'],
    ['auth.role', "write request.jwt() ->> 'role'."],
    ['request.user_id', 'request.user_id is a function; write request.user_id().'],
    ['connection.day', "write request.parameters() ->> 'day'."],
    ['bucket.x', 'data queries match it as bucket.name'],
  ])('%s in a parameter query', (value, message) => {
    expect(ofParameters(`b = ${value}`)).toEqual([expect.stringContaining(message)]);
  });

  test.each([
    ['a = bucket.boatId', 'No parameter query selects boatId; write bucket."boatId".'],
    ['a = bucket.clup', 'No parameter query selects clup; write bucket.club.'],
    ['a = bucket.other', 'No parameter query selects other; there are boatId, x, club.'],
    ['a = auth.user_id', 'select the value in a parameter query, and match bucket.user_id.'],
    ['a = token_parameters.role', 'select the value in a parameter query, and match bucket.role.'],
  ])('%s in a data query', (condition, message) => {
    expect(ofData(condition)).toEqual([expect.stringContaining(message)]);
  });

  test.each([
    ['coalesce(a, b)', 'There is no function coalesce(); write ifnull(x, y).'],
    ['concat(a, b)', 'write x || y.'],
    ["strftime('%Y', a)", 'substring(x, 1, 10)'],
    ['date(a)', 'substring(x, 1, 10)'],
    ['sum(a)', 'aggregates are not supported'],
    ['a = any(b)', 'write x IN array.'],
    ['NOW()', 'NOW() is the present time'],
    ['uper(a)', 'There is no function uper(); write upper(text).'],
    ['json_extrakt(a)', 'write json_extract(data, path).'],
    ['josn_keys(a)', 'write json_keys(data).'],
    ['something_else(a)', 'docs/sync-config/expressions.md lists those that there are.'],
    ['constructor(a)', 'docs/sync-config/expressions.md'],
  ])('the function %s', (condition, message) => {
    expect(ofCondition(condition)).toEqual([expect.stringContaining(message)]);
  });

  test.each([
    ["a LIKE 'x%'", 'substring(x, 1, n)'],
    ["a NOT LIKE 'x%'", "instr(x, '…') > 0"],
    ["a NOT ILIKE 'x%'", 'lower(x)'],
    ["a SIMILAR TO 'x%'", 'Operator SIMILAR TO is not supported'],
    ["a REGEXP 'x'", 'substring(x, 1, n)'],
    ["a !~* 'x'", '!~* is no operator here'],
    ["a @> '[1]'", '@> is no operator here; write x IN column'],
    ["'[1]' <@ a", '<@ is no operator here'],
    ["a ?| '[1]'", '?| is no operator here; write x IN json_keys(column)'],
    ['a = $1', '$1 is no placeholder here'],
    ['a = :owner', ':owner is no placeholder here'],
    ['a = @owner', '@owner is no placeholder here'],
    ['a = ?', '? is no placeholder here'],
    ['a$b = 1', 'names with such characters need double quotes'],
    ['a = ’x’', 'write texts in \' and names in ".'],
    ['a\u00a0= 1', 'An invisible character (U+00A0)'],
    ['a = 1 }', 'Character "}" is not allowed here; remove it'],
    ['a NOT = b', 'Found NOT before =; write a != b.'],
    ['a NOT >= b', 'write NOT (a >= b).'],
    ['a NOT NULL', 'write IS NOT NULL'],
  ])('%s', (condition, message) => {
    expect(ofCondition(condition)).toEqual([expect.stringContaining(message)]);
  });

  test.each([
    ['SELECT * FROM boats b WHERE boats.x', 'it is called b; write b.x.'],
    ['SELECT * FROM boats AS "My Boats" WHERE boats.x', 'it is called "My Boats"; write "My Boats".x.'],
    ['SELECT * FROM boats WHERE boat.x', 'write boats.x.'],
    ['SELECT boat.* FROM boats', 'write boats.*.'],
    ['SELECT * FROM boats WHERE papers.flag', "if it is a column with JSON, write papers ->> 'flag'."],
  ])('%s', (query, message) => {
    expect(messagesOf(streamOf(query))).toEqual([expect.stringContaining(message)]);
  });
});

test('a misspelt name is found, another name is not', () => {
  const misspelt = FUNCTION_NAMES.filter((name) => name.length > 4).flatMap((name) => [
    name.slice(0, 2) + name.slice(3),
    `${name.slice(0, 2)}${name[3] ?? ''}${name[2] ?? ''}${name.slice(4)}`,
    `${name}s`,
    `${name.slice(0, -1)}_`,
    name.toUpperCase(),
  ]);
  // substr and substring apart, nothing is nearer to another name
  const found = misspelt.map((name) => nearest(name, FUNCTION_NAMES));
  expect(found.filter((name) => name === null)).toEqual([]);
  expect(nearest('st_X', ['st_x', 'st_y'])).toBe('st_x');
  for (const other of ['a', 'nope', 'rank', 'format', 'quote', 'last_insert_rowid'])
    expect([other, nearest(other, FUNCTION_NAMES)]).toEqual([other, null]);
  expect(nearest('x', [])).toBeNull();
});
