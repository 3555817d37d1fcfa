/** Commands as an operator types them, and what they print (O chapter 1). */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createTestCertificates } from '#core/platform/config/test-certificates.ts';
import { runMillrace } from '../instance/command.ts';
import { until } from '../instance/instance.ts';
import { startPostgres } from '../services/postgres.ts';
import { createFixture } from './fixture.ts';

const SERVER_NAME = 'db.example';
const certificates = createTestCertificates(SERVER_NAME, 'client');

/** Runs a command with a configuration of its own; answers the exit code and what it printed. */
async function run(yaml: string, ...words: string[]): Promise<{ code: number | null; output: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-command-'));
  try {
    const file = join(folder, 'service.yaml');
    await writeFile(file, yaml);
    return await runMillrace(...words, '-c', file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe.skipIf(certificates === null)('test-connections and TLS (needs openssl)', () => {
  test('an authority that nobody knows: the certificates are shown (R-20); with it in cacert all is well (R-14)', async () => {
    const { authority, server } = certificates!;
    await using postgres = await startPostgres({
      durable: false,
      settings: { ssl: 'on', ssl_cert_file: 'tls.pem', ssl_key_file: 'tls.key' },
      files: { 'tls.pem': server.certificate, 'tls.key': server.key },
    });
    const database = await postgres.createDatabase();
    const storage = await postgres.createDatabase();
    const yaml = (keys: string): string => `replication:
  connections:
    - type: postgresql
      uri: "${database.url}"
      sslmode: verify-full
      tls_servername: ${SERVER_NAME}
${keys}
storage: {type: postgresql, uri: "${storage.url}", sslmode: disable}
client_auth: {jwks: {keys: []}, audience: [x]}
`;
    const unknown = await run(yaml(''), 'test-connections');
    expect(unknown.code).toBe(1);
    expect(unknown.output).toContain('[PSYNC_S1163]');
    expect(unknown.output).toMatch(/the server presents .*db\.example/);
    expect(unknown.output).toContain(server.certificate.trim().split('\n')[1]);
    expect(unknown.output).not.toContain('PRIVATE KEY');

    const indented = authority.trim().replaceAll('\n', '\n        ');
    const known = await run(yaml(`      cacert: |\n        ${indented}`), 'test-connections');
    expect(known.output).not.toContain('PSYNC_S1163');
    expect(known.output).not.toContain('the server presents');
  });
});

describe('SIGTERM in the middle of the first copy', () => {
  test('is said (PSYNC_S1103), and the next start goes on (R-32)', async () => {
    const rows = 150_000;
    const fixture = await createFixture({
      storage: 'mongodb',
      schema: `CREATE TABLE items (id int PRIMARY KEY, note text); CREATE PUBLICATION powersync FOR TABLE items;
        INSERT INTO items SELECT i, repeat(md5(i::text), 4) FROM generate_series(1, ${rows}) i`,
      syncConfig: `config: { edition: 3 }
streams:
  all:
    auto_subscribe: true
    query: SELECT * FROM items
`,
    });
    try {
      const first = await fixture.instance.start('unified');
      const copying = async (): Promise<boolean> => first.output().includes('Copying tables');
      await until('the first copy', copying, 30_000, () => first.output());
      expect(await first.stop()).toBe(0);
      expect(first.output()).toContain('PSYNC_S1103');
      const second = await fixture.instance.start('unified');
      await fixture.instance.untilActive(second);
      expect(await second.stop()).toBe(0);
      expect(second.output()).not.toContain('PSYNC_S1103');
    } finally {
      await fixture.close();
    }
  });
});
