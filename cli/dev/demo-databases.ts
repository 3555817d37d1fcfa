/** The two databases of `millrace dev`: the demo's own, and the one for bucket storage. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';

export const SOURCE_DATABASE = 'demo';
export const STORAGE_DATABASE = 'buckets';

/** Creates what is missing; rows that are there stay as they are. */
export async function createDemoDatabases(urlOf: (database: string) => string, project: string): Promise<void> {
  await withClient(urlOf('postgres'), async (client) => {
    for (const name of [SOURCE_DATABASE, STORAGE_DATABASE]) {
      const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [name]);
      if (rowCount === 0) await client.query(`CREATE DATABASE ${name}`);
    }
  });
  const schema = await readFile(join(project, 'demo', 'schema.sql'), 'utf8');
  await withClient(urlOf(SOURCE_DATABASE), async (client) => {
    await client.query(schema);
    // Progress shows how many rows there are to copy; of a table that was never analyzed Postgres guesses hundreds.
    await client.query('ANALYZE');
  });
}

async function withClient(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
