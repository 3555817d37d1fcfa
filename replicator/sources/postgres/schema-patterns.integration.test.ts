import { expect, test } from 'vitest';
import type { SyncPlan } from '#core/sync-config/contract.ts';
import { wantedTables } from '../../wanted-tables.ts';
import { startStreamed } from './streamed-database.fixture.ts';

test.each([15, 18])(
  'tables wanted by a pattern of schemas need not be published (R-55), Postgres %i',
  async (version) => {
    const plan = { tables: [{ source: 'default', schema: 'tenant_', anySchema: true, name: 'work', wildcard: false }] };
    await using t = await startStreamed(
      version,
      `CREATE SCHEMA tenant_a; CREATE SCHEMA tenant_b; CREATE SCHEMA tenant_c;
     CREATE TABLE tenant_a.work (id int PRIMARY KEY); CREATE TABLE tenant_b.work (id int PRIMARY KEY);
     CREATE TABLE tenant_c.work (id int PRIMARY KEY); CREATE TABLE tenant_a.other (id int PRIMARY KEY);
     INSERT INTO tenant_a.work VALUES (1); INSERT INTO tenant_b.work VALUES (2);
     CREATE PUBLICATION powersync FOR TABLE tenant_a.work, tenant_a.other, tenant_b.work`,
      wantedTables(plan as unknown as SyncPlan, 'default'),
    );
    expect(t.snapshot.reports.map(({ schema, errors }) => [schema, errors])).toEqual([
      ['tenant_a', []],
      ['tenant_b', []],
    ]);
    expect(t.snapshot.tables.map(({ table }) => table.schema)).toEqual(['tenant_a', 'tenant_b']);
    expect(
      await t.run(
        `INSERT INTO tenant_b.work VALUES (3); INSERT INTO tenant_c.work VALUES (4); INSERT INTO tenant_a.other VALUES (5);
       CREATE SCHEMA tenant_d; CREATE TABLE tenant_d.work (id int PRIMARY KEY);
       ALTER PUBLICATION powersync ADD TABLE tenant_d.work; INSERT INTO tenant_d.work VALUES (6)`,
      ),
    ).toEqual(['table work', 'insert work {"id":3}', 'table work', 'insert work {"id":6}']);
  },
);
