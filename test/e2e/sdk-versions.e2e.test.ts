/** Apps with older SDKs: their own sync client in JavaScript, and the core extension that came after it; over HTTP and WebSocket (S-516, S-71). */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installSdk, type SdkVersion } from '../client/sdk-versions/install.ts';
import { until, type Service } from '../instance/instance.ts';
import { createFixture, SHARED_LISTS, type Fixture } from './fixture.ts';

const PROGRAM = new URL('../client/sdk-versions/process.ts', import.meta.url).pathname;

let fixture: Fixture;
let service: Service;
beforeAll(async () => {
  fixture = await createFixture({ storage: 'mongodb', ...SHARED_LISTS });
  await fixture.sql(`INSERT INTO lists SELECT 'l' || i, 'list ' || i FROM generate_series(1, 3000) i`);
  service = await fixture.instance.start('unified');
  await fixture.instance.untilActive(service);
});
afterAll(() => fixture?.close());

interface Shown {
  readonly synced: boolean;
  readonly rows: readonly { readonly id: string; readonly name: string }[];
}

const CASES = (['0.13.0', '0.18.8'] as const).flatMap((version) =>
  (['js', 'rust'] as const).flatMap((client) =>
    (['http', 'web-socket'] as const).map((method) => ({ version, client, method })),
  ),
);

test.each(CASES)('$version, $client client over $method', async ({ version, client, method }) => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-sdk-'));
  const app = await startApp(version, folder, { clientImplementation: client, connectionMethod: method });
  try {
    let last: Shown = { synced: false, rows: [] };
    app.on('message', (shown: Shown) => void (last = shown));
    const shows = (what: string, condition: () => boolean): Promise<void> =>
      until(
        what,
        async () => condition(),
        60_000,
        () => `${last.rows.length} rows; ${output.text.slice(-3000)}`,
      );
    await shows('the first sync', () => last.synced && last.rows.length >= 3000);
    const id = `${version}-${client}-${method}`;
    await fixture.sql(`INSERT INTO lists VALUES ($1, 'new')`, [id]);
    await shows('an inserted row', () => last.rows.some((row) => row.id === id && row.name === 'new'));
    // a row that the app wrote and its backend did not keep vanishes with the next write checkpoint (S-25)
    app.send({ id: 'local', values: { name: 'refused' } });
    await shows('the local row', () => last.rows.some((row) => row.id === 'local'));
    await shows('the state of the source', () => !last.rows.some((row) => row.id === 'local'));
    await fixture.sql('DELETE FROM lists WHERE id = $1', [id]);
    await shows('the removal', () => !last.rows.some((row) => row.id === id));
    const expected = await fixture.sql('SELECT id, name FROM lists ORDER BY id COLLATE "C"');
    expect(last.rows).toEqual(expected);
  } finally {
    app.disconnect();
    await once(app, 'exit');
    await rm(folder, { recursive: true, force: true });
  }
});

const output = { text: '' };
async function startApp(version: SdkVersion, folder: string, how: object): Promise<ChildProcess> {
  const file = join(folder, 'arguments.json');
  const shared = { module: await installSdk(version), folder, table: 'lists', columns: ['name'] };
  const token = await fixture.instance.token('alice');
  await writeFile(file, JSON.stringify({ ...shared, endpoint: service.endpoint, token, ...how }));
  const child = fork(PROGRAM, [file], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  output.text = '';
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (chunk: Buffer) => void (output.text = (output.text + chunk.toString()).slice(-20_000)));
  return child;
}
