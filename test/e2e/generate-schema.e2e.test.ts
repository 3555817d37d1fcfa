/** `millrace generate schema` and the route behind it, on a real Postgres; the result runs in the real SDK (O-263, O-270…O-276). */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SCHEMA_LANGUAGES } from '../../cli/generate-schema/contract.ts';
import { runMillrace } from '../instance/command.ts';
import { ADMIN_TOKEN } from '../instance/instance.ts';
import { createFixture, type Fixture } from './fixture.ts';

const SCHEMA = `CREATE TYPE mood AS ENUM ('calm', 'rough');
CREATE TABLE boats (id uuid PRIMARY KEY, name varchar(40), length float8, crew int4, price numeric(10,2), sold bool, seen timestamptz(3),
  tags text[], photo bytea, sea mood, "it's ""odd"" $x" text);
CREATE TABLE trips (id text PRIMARY KEY, boat_id uuid, miles int8);
CREATE TABLE log_a (id text PRIMARY KEY, note text);
CREATE TABLE log_b (id text PRIMARY KEY, level int2);
CREATE PUBLICATION powersync FOR ALL TABLES;`;
const SYNC_CONFIG = `config: { edition: 3 }
streams:
  boats:
    auto_subscribe: true
    query: SELECT *, hex(photo) AS picture FROM boats
  trips:
    query: SELECT id, boat_id, miles / 2.0 AS half, "Harbour" FROM trips AS journeys WHERE boat_id = subscription.parameter('boat')
  logs:
    query: SELECT * FROM "log_%" AS logs
`;
const COLUMNS = {
  boats: {
    name: 'TEXT',
    length: 'REAL',
    crew: 'INTEGER',
    price: 'TEXT',
    sold: 'INTEGER',
    seen: 'TEXT',
    tags: 'TEXT',
    sea: 'TEXT',
    'it\'s "odd" $x': 'TEXT',
    picture: 'TEXT',
  },
  journeys: { boat_id: 'TEXT', half: 'REAL' },
  logs: { note: 'TEXT', level: 'INTEGER' },
};

let folder: string;
let fixture: Fixture;
const file = (name: string): string => join(folder, name);
const serviceYaml = (url: string, ...lines: string[]): string =>
  [
    'replication:',
    '  connections:',
    `    - {type: postgresql, uri: "${url}", sslmode: disable}`,
    `storage: {type: postgresql, uri: "${url}", sslmode: disable}`,
    'client_auth: {jwks: {keys: []}, audience: [x]}',
    ...lines,
    '',
  ].join('\n');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-schema-'));
  fixture = await createFixture({ storage: 'postgresql', schema: SCHEMA, syncConfig: SYNC_CONFIG });
  await symlink(fileURLToPath(new URL('../../node_modules', import.meta.url)), file('node_modules'));
  await writeFile(file('package.json'), '{"type": "module"}');
  await writeFile(file('sync-config.yaml'), SYNC_CONFIG);
  await writeFile(file('bad.yaml'), SYNC_CONFIG.replace("subscription.parameter('boat')", 'nope(1)'));
  await writeFile(file('service.yaml'), serviceYaml(fixture.sourceUrl, 'sync_config: {path: sync-config.yaml}'));
  await writeFile(file('without.yaml'), serviceYaml(fixture.sourceUrl));
  await writeFile(file('away.yaml'), serviceYaml('postgresql://u:pa55word@127.0.0.1:1025/none'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await fixture?.close();
});

const generate = (...words: string[]): ReturnType<typeof runMillrace> => runMillrace('generate', 'schema', ...words);

/** What a program of an app sees of the file: its tables, and what its streams would subscribe to. */
async function loadInApp(name: string): Promise<{ tables: object; streams: unknown[] }> {
  const program = `
    const { AppSchema, typedStreams } = await import(${JSON.stringify(file(name))});
    AppSchema.validate();
    const tables = AppSchema.toJSON().tables.map(({ name, columns }) => [name, Object.fromEntries(columns.map((c) => [c.name, c.type]))]);
    const streams = typedStreams({ syncStream: (...words) => words });
    const calls = [streams.trips({ boat: 'b1' }), streams.logs()];
    console.log(JSON.stringify({ tables: Object.fromEntries(tables), streams: calls }));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    cwd: folder,
  });
  return JSON.parse(stdout) as { tables: object; streams: unknown[] };
}

test.each(['ts', 'js'])('a %s file that the SDK runs', async (language) => {
  const path = file(`app-schema.${language}`);
  const { code, output } = await generate('-c', file('service.yaml'), '--output', language, '--output-path', path);
  expect(output).toMatch(/sync-config\.yaml:7:\d+: warning \[PSYNC_R2302\] .*Harbour/);
  expect(code).toBe(0);
  const text = await readFile(path, 'utf8');
  expect(text).toContain('    // Left out, the source has no such column: Harbour\n');
  // the SDK refuses the quotes, which is said above the column; an app has to rename it
  expect(text).toMatch(/Client SDKs refuse this name.*\n.*odd/);
  await writeFile(path, text.replace(`'it\\'s "odd" $x'`, 'odd'));
  const { 'it\'s "odd" $x': odd, ...boats } = COLUMNS.boats;
  expect(await loadInApp(`app-schema.${language}`)).toEqual({
    tables: { ...COLUMNS, boats: { ...boats, odd } },
    streams: [['trips', { boat: 'b1' }], ['logs']],
  });
});

test('to standard output, every language, with a sync config of its own; the same each time', async () => {
  await writeFile(file('one.yaml'), 'config: { edition: 3 }\nstreams:\n  trips: { query: SELECT * FROM trips }\n');
  for (const language of SCHEMA_LANGUAGES) {
    const words = ['-c', file('without.yaml'), '--output', language, '--sync-config-file-path', file('one.yaml')];
    const { code, output } = await generate(...words);
    expect([language, code]).toEqual([language, 0]);
    expect(output).toContain(`// Generated by: millrace generate schema --output ${language}\n`);
    expect(output).toMatch(/boat_id[^]*miles/);
    expect(output).not.toMatch(/boats|Left out/);
    expect(output.endsWith('\n')).toBe(true);
  }
  const again = ['-c', file('service.yaml'), '--output', 'kotlin'];
  expect(await generate(...again)).toEqual(await generate(...again));
});

test('what fails says why, ends with 1 and leaves the file as it was', async () => {
  await mkdir(file('kept'));
  const path = file('kept/schema.ts');
  await writeFile(path, 'mine');
  const failed = async (...words: string[]): Promise<string> => {
    const { code, output } = await generate('--output', 'ts', '--output-path', path, ...words);
    expect(code).toBe(1);
    expect(await readFile(path, 'utf8')).toBe('mine');
    expect(await readdir(file('kept'))).toEqual(['schema.ts']);
    return output;
  };
  const mistake = await failed('-c', file('service.yaml'), '--sync-config-file-path', file('bad.yaml'));
  expect(mistake).toMatch(/bad\.yaml:7:\d+: error \[PSYNC_R\d{4}\] .*nope/);
  expect(mistake).toMatch(/\| +\^+\n/);
  const away = await failed('-c', file('away.yaml'), '--sync-config-file-path', file('sync-config.yaml'));
  expect(away).toMatch(/\[PSYNC_S4107\] [^]*source default: .*PSYNC_S117/);
  expect(away).not.toContain('pa55word');
  expect(await failed('-c', file('without.yaml'))).toMatch(/\[PSYNC_S3224\] .*--sync-config-file-path/);
  expect(await failed('-c', file('missing.yaml'))).toMatch(/\[PSYNC_S3221\] .*missing\.yaml/);
  expect(await failed('-c', file('service.yaml'), '--output', 'cobol')).toMatch(/cobol.*dart/);
  const nowhere = await generate('-c', file('service.yaml'), '--output', 'ts', '--output-path', file('none/schema.ts'));
  expect(nowhere).toMatchObject({
    code: 1,
    output: expect.stringMatching(/\[PSYNC_S0103\] .*none\/schema\.ts/) as string,
  });
});

test('the route lists the tables for operators only', async () => {
  const service = await fixture.instance.start('api');
  const ask = (token: string): Promise<Response> =>
    fetch(`${service.endpoint}/api/admin/v1/schema`, {
      method: 'POST',
      headers: { authorization: `Token ${token}`, 'content-type': 'application/json' },
      body: '{}',
    });
  expect((await ask('wrong')).status).toBe(401);
  expect((await ask(await fixture.instance.token('alice'))).status).toBe(401);
  const response = await ask(ADMIN_TOKEN);
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({
    data: {
      connections: [
        {
          id: 'default',
          tag: 'default',
          schemas: [
            {
              name: 'public',
              tables: [
                {
                  name: 'boats',
                  columns: [
                    { name: 'id', sqlite_type: 2, internal_type: 'uuid', type: 'uuid', pg_type: 'uuid' },
                    { name: 'name', sqlite_type: 2, type: 'character varying(40)', pg_type: 'varchar' },
                    { name: 'length', sqlite_type: 8, type: 'double precision', pg_type: 'float8' },
                    { name: 'crew', sqlite_type: 4, type: 'integer', pg_type: 'int4' },
                    { name: 'price', sqlite_type: 2, type: 'numeric(10,2)', pg_type: 'numeric' },
                    { name: 'sold', sqlite_type: 4, type: 'boolean', pg_type: 'bool' },
                    { name: 'seen', sqlite_type: 2, type: 'timestamp(3) with time zone', pg_type: 'timestamptz' },
                    { name: 'tags', sqlite_type: 2, type: 'text[]', pg_type: '_text' },
                    { name: 'photo', sqlite_type: 1, type: 'bytea', pg_type: 'bytea' },
                    { name: 'sea', sqlite_type: 2, type: 'public.mood', pg_type: 'mood' },
                    { name: 'it\'s "odd" $x' },
                  ],
                },
                { name: 'log_a' },
                { name: 'log_b' },
                { name: 'trips' },
              ],
            },
          ],
        },
      ],
    },
  });
  await service.stop();
});
