/** `millrace validate`: with the file alone, and against the tables of a source (S-32, S-33, O-262). */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runMillrace } from '../instance/command.ts';
import type { TestDatabase } from '../services/contract.ts';
import { postgres } from '../services/postgres.ts';

const GOOD = `config: { edition: 3 }
streams:
  mine:
    auto_subscribe: true
    query: SELECT * FROM items WHERE owner_id = auth.user_id()
`;

let folder: string;
let database: TestDatabase;
const file = (name: string): string => join(folder, name);
const service = (url: string): string => `replication:
  connections:
    - {type: postgresql, uri: "${url}", sslmode: disable}
storage: {type: postgresql, uri: "${url}", sslmode: disable}
client_auth: {jwks: {keys: []}, audience: [x]}
`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-validate-'));
  database = await (await postgres()).createDatabase();
  const client = new pg.Client(database.url);
  await client.connect();
  await client.query('CREATE TABLE items (id text PRIMARY KEY, "ownerId" text)');
  await client.end();
  await writeFile(file('good.yaml'), GOOD);
  await writeFile(file('bad.yaml'), GOOD.replace('auth.user_id()', 'nope(1)').replace('mine', 'theirs'));
  await writeFile(file('service.yaml'), service(database.url));
  await writeFile(file('away.yaml'), service('postgresql://u:pa55word@127.0.0.1:1025/none'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await database?.drop();
});

const validate = (...words: string[]): ReturnType<typeof runMillrace> => runMillrace('validate', ...words);

test('a config without mistakes', async () => {
  expect(await validate(file('good.yaml'))).toEqual({
    code: 0,
    output: `${file('good.yaml')}: 0 errors, 0 warnings\n`,
  });
});

test('a mistake: code, line, column and a mark below it, and an exit code', async () => {
  const { code, output } = await validate(file('bad.yaml'));
  expect(code).toBe(1);
  expect(output).toMatch(/bad\.yaml:5:49: error \[PSYNC_R\d{4}\] .*nope/);
  expect(output).toContain('    5 |     query: SELECT * FROM items WHERE owner_id = nope(1)\n');
  expect(output).toContain(`      | ${' '.repeat(48)}^^^^\n`);
  expect(output).toMatch(/1 error, 0 warnings\n$/);
});

test('against a source: what it lacks is a warning, which stops nothing', async () => {
  const { code, output } = await validate(file('good.yaml'), '-c', file('service.yaml'));
  expect(code).toBe(0);
  expect(output).toMatch(/good\.yaml:5:\d+: warning \[PSYNC_R23\d\d\] .*owner_id/);
  expect(output).toMatch(/0 errors, 1 warning\n$/);
});

test('as JSON, and with a source that is not there', async () => {
  const { code, output } = await validate(file('bad.yaml'), '-c', file('away.yaml'), '--output', 'json');
  expect(code).toBe(1);
  const found = JSON.parse(output) as { diagnostics: object[]; unread: string[] };
  expect(found.diagnostics).toMatchObject([{ level: 'error', line: 5, column: 49 }]);
  expect(found.unread).toEqual([expect.stringMatching(/^source default: .*PSYNC_S117/)]);
  expect(output).not.toContain('pa55word');
});

test('a file that is not there', async () => {
  const { code, output } = await validate(file('missing.yaml'));
  expect(code).toBe(1);
  expect(output).toMatch(/missing\.yaml/);
});
