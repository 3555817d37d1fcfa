import type { Client } from 'pg';

/** What the server is able to do; read once per connection. */
export interface ServerFacts {
  /** `server_version_num`: 150004 is 15.4. */
  readonly versionNumber: number;
  /** As the server prints it: `15.4 (Debian 15.4-1)`. */
  readonly version: string;
  /** Size of a page in bytes. */
  readonly blockBytes: number;
  /** After this silence of ours, in milliseconds, a walsender gives us up; 0: never. */
  readonly walSenderTimeoutMs: number;
}

export async function readServerFacts(client: Pick<Client, 'query'>): Promise<ServerFacts> {
  const { rows } = await client.query<{ number: string; version: string; block: string; timeout: string }>(
    `SELECT current_setting('server_version_num') AS number, current_setting('server_version') AS version,
            current_setting('block_size') AS block,
            (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout') AS timeout`,
  );
  const row = rows[0]!;
  return {
    versionNumber: Number(row.number),
    version: row.version,
    blockBytes: Number(row.block),
    walSenderTimeoutMs: Number(row.timeout),
  };
}
