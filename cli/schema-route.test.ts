/** The route that lists the tables of the sources (O-122, O-270), compared with the recorded exchange (wire/10, "schema"). */
import Fastify from 'fastify';
import { expect, test } from 'vitest';
import { createErrorHandler } from '#api-worker/http/errors.ts';
import type { SourceConnection } from '#core/platform/config/service-config.ts';
import { schemaRoute } from './schema-route.ts';
import type { ReadTable, SourceTables } from './source-tables.ts';

const POSTGRES = { type: 'postgresql', id: 'main', tag: 'default' } as SourceConnection;
const MYSQL = { type: 'mysql', id: 'orders', tag: 'orders' } as SourceConnection;

const table = (source: string, schema: string, name: string, columns: Readonly<Record<string, string>>): ReadTable => ({
  source,
  schema,
  name,
  columns: Object.keys(columns),
  columnTypes: Object.values(columns),
});
const TABLES = [
  table('default', 'public', 'announcements', { id: 'uuid', body: 'text' }),
  table('default', 'public', 'types', {
    c_bool: 'boolean',
    c_int4: 'integer',
    c_float4: 'real',
    c_varchar: 'character varying(20)',
    c_timestamptz: 'timestamp with time zone',
    c_bytea: 'bytea',
  }),
  table('default', 'other', 'announcements', { id: 'text[]' }),
  table('orders', 'shop', 'orders', { id: 'int(10) unsigned', area: 'polygon', odd: 'hologram(3)' }),
];

async function ask(answer: SourceTables, authorization = 'Token secret') {
  const lines: string[] = [];
  const write = (fields: object): void => void lines.push(JSON.stringify(fields));
  const server = Fastify();
  server.setErrorHandler(createErrorHandler({ debug: write, info: write, warn: write, error: write }, () => {}));
  schemaRoute(server, {
    tokens: ['secret'],
    connections: [POSTGRES, MYSQL],
    sourceTables: () => Promise.resolve(answer),
  });
  const response = await server.inject({
    method: 'POST',
    url: '/api/admin/v1/schema',
    headers: { authorization },
    payload: {},
  });
  await server.close();
  return { status: response.statusCode, body: response.json<object>(), logged: lines.join('\n') };
}

const column = (name: string, sqlite: number, type: string, catalog = type): object => ({
  name,
  sqlite_type: sqlite,
  internal_type: type,
  type,
  pg_type: catalog,
});

test('tables by connection and schema, with the types of columns', async () => {
  expect(await ask({ tables: TABLES, unread: [] })).toMatchObject({
    status: 200,
    body: {
      data: {
        connections: [
          {
            id: 'main',
            tag: 'default',
            schemas: [
              {
                name: 'public',
                tables: [
                  { name: 'announcements', columns: [column('id', 2, 'uuid'), column('body', 2, 'text')] },
                  {
                    name: 'types',
                    columns: [
                      column('c_bool', 4, 'boolean', 'bool'),
                      column('c_int4', 4, 'integer', 'int4'),
                      column('c_float4', 8, 'real', 'float4'),
                      column('c_varchar', 2, 'character varying(20)', 'varchar'),
                      column('c_timestamptz', 2, 'timestamp with time zone', 'timestamptz'),
                      column('c_bytea', 1, 'bytea'),
                    ],
                  },
                ],
              },
              { name: 'other', tables: [{ name: 'announcements', columns: [column('id', 2, 'text[]', '_text')] }] },
            ],
          },
          {
            id: 'orders',
            tag: 'orders',
            schemas: [
              {
                name: 'shop',
                tables: [
                  {
                    name: 'orders',
                    columns: [
                      column('id', 4, 'int(10) unsigned'),
                      column('area', 1, 'polygon'),
                      column('odd', 0, 'hologram(3)'),
                    ],
                  },
                ],
              },
            ],
          },
        ],
      },
    },
  });
});

test('sources that cannot be read are an error, never a part of the tables', async () => {
  const { status, body } = await ask({ tables: null, unread: ['source default: [PSYNC_S1170] It is away'] });
  expect(status).toBe(503);
  expect(body).toMatchObject({
    error: { code: 'PSYNC_S4107', description: 'source default: [PSYNC_S1170] It is away' },
  });
});

test('more columns than an answer should hold', async () => {
  const wide = Array.from({ length: 101 }, (_, at) =>
    table('default', 'public', `t${at}`, Object.fromEntries(Array.from({ length: 1000 }, (_, c) => [`c${c}`, 'text']))),
  );
  expect(await ask({ tables: wide, unread: [] })).toMatchObject({
    status: 422,
    body: { error: { code: 'PSYNC_S4107' } },
  });
  expect((await ask({ tables: wide.slice(1), unread: [] })).status).toBe(200);
});

test.each(['', 'Token wrong', 'Bearer '])('not without the token of an operator: %j', async (authorization) => {
  const { status, body } = await ask({ tables: TABLES, unread: [] }, authorization);
  expect(status).toBe(401);
  expect(body).toMatchObject({ error: { code: 'PSYNC_S2101' } });
});
