/**
 * Hostile and broken clients by the hundred against one API process (S-615, G9): its memory stays bounded, what can be answered gets an error
 * with a code, and an app that is connected meanwhile gets every row as fast as ever. The figures of each attack are among the annotations.
 */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { constants, deflateRawSync, gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, expect, test, type TestContext } from 'vitest';
import { openConnection, requestText, type RawConnection } from '#api-worker/testing/raw-connection.ts';
import { openWebSocket, type RawWebSocket } from '#api-worker/testing/raw-websocket.ts';
import { json, requestStream, setup } from '#api-worker/testing/rsocket-peer.ts';
import { createProtocolClient, type ProtocolClient } from '../client/protocol-client.ts';
import { createFixture, SHARED_LISTS, type Fixture } from '../e2e/fixture.ts';
import { until, type Service } from '../instance/instance.ts';

const MB = 1024 * 1024;
/** More than sockets hold for a client that does not read. */
const LARGE_ITEMS = 20_000;
const MAX_CONNECTIONS = 1000;
/** What the process may take beyond what it takes with one client: its caches (64 MB), and 600 clients that are owed 256 KB each. */
const MOST_MB = 500;
/**
 * While the app waits for a row, the process does no more than this for others: its own time (CPU), because the machine may have much else to do. The
 * time on the clock only says that the app was served at all.
 */
const MOST_CPU_MS = 4000;
const MOST_MS = 30_000;
/** Of the kernel's clock that counts the time of processes. */
const TICK_MS = 10;

interface Wait {
  readonly ms: number;
  readonly cpuMs: number;
}

let fixture: Fixture;
let api: Service;
let app: ProtocolClient;
let token: string;
let restMb: number;
let rest: Wait;
const open: { destroy(): void }[] = [];

beforeAll(async () => {
  fixture = await createFixture({
    ...SHARED_LISTS,
    storage: 'mongodb',
    redis: true,
    apiParameters: { max_concurrent_connections: MAX_CONNECTIONS },
  });
  await fixture.sql(
    `INSERT INTO items SELECT 'i' || i, 'l', 'mallory', repeat(md5('i' || i), 32), i FROM generate_series(1, $1::int) i`,
    [LARGE_ITEMS],
  );
  await fixture.instance.start('sync');
  api = await fixture.instance.start('api');
  await fixture.instance.untilActive(api);
  token = await fixture.instance.token('mallory');
  app = createProtocolClient({ endpoint: api.endpoint, token: await fixture.instance.token('alice') });
  await app.connect();
  await app.until(() => app.completedOp !== null, 'the first sync');
  rest = { ms: 0, cpuMs: 0 };
  for (let row = 0; row < 10; row++) rest = longer(rest, await sendRow());
  restMb = await residentMb();
});
afterEach(() => {
  for (const each of open.splice(0)) each.destroy();
});
afterAll(async () => {
  app?.disconnect();
  await fixture?.close();
});

async function residentMb(): Promise<number> {
  const status = await readFile(`/proc/${api.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024;
}
async function connect(): Promise<RawConnection> {
  const connection = await openConnection(api.endpoint);
  open.push(connection);
  return connection;
}
async function connectWebSocket(extensions?: string): Promise<RawWebSocket> {
  const raw = await openWebSocket(api.endpoint, extensions, 60_000);
  open.push(raw);
  return raw;
}
const times = <T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)));
const post = (body: string, headers: Record<string, string | null> = {}): string =>
  requestText('POST', '/sync/stream', body, { authorization: `Token ${token}`, ...headers });
/** Status and code of the answer to a request on a connection of its own. */
async function answerTo(request: string | Buffer): Promise<string> {
  const connection = await connect();
  connection.send(request);
  const { status, error } = await connection.answer({ timeoutMs: 60_000 });
  connection.destroy();
  return `${status} ${error.code ?? ''}`;
}

/** From before the commit of a row until the app has it. */
async function sendRow(): Promise<Wait> {
  const id = randomUUID();
  const [started, startedCpuMs] = [performance.now(), await cpuMs()];
  await fixture.sql(`INSERT INTO items VALUES ($1, 'l', 'alice', 't', 1)`, [id]);
  await app.until(() => app.visible.has(`items/${id}`), 'a row of the app', 60_000);
  return { ms: performance.now() - started, cpuMs: (await cpuMs()) - startedCpuMs };
}
async function cpuMs(): Promise<number> {
  const fields = (await readFile(`/proc/${api.pid}/stat`, 'utf8')).split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
const longer = (a: Wait, b: Wait): Wait => ({ ms: Math.max(a.ms, b.ms), cpuMs: Math.max(a.cpuMs, b.cpuMs) });

/**
 * Runs an attack, and for at least two seconds looks at the process and has rows sent to the app. Afterwards the process serves as before: none of
 * the attackers' connections is left.
 */
async function during(attack: () => Promise<unknown>, { annotate }: TestContext): Promise<void> {
  let [mostMb, rows, over] = [0, 0, false];
  let most: Wait = { ms: 0, cpuMs: 0 };
  const watch = (async () => {
    while (!over || rows < 10) {
      mostMb = Math.max(mostMb, await residentMb());
      most = longer(most, await sendRow());
      rows++;
      await sleep(50);
    }
  })();
  await Promise.all([attack().finally(() => (over = true)), watch]);
  mostMb = Math.max(mostMb, await residentMb());
  for (const each of open.splice(0)) each.destroy();
  await annotate(
    `at most ${Math.round(mostMb)} MB (${Math.round(restMb)} at rest); ${rows} rows, the slowest in ${Math.round(most.ms)} ms, ${most.cpuMs} of them CPU (at rest ${Math.round(rest.ms)} and ${rest.cpuMs})`,
  );
  expect(mostMb - restMb).toBeLessThan(MOST_MB);
  expect(most.cpuMs).toBeLessThan(MOST_CPU_MS);
  expect(most.ms).toBeLessThan(MOST_MS);
  expect(api.child.exitCode).toBeNull();
  // The app's own, and what is kept open for asking about the state of the service.
  expect(await connectionsOf()).toBeGreaterThan(0);
  await until('the connections to be gone', async () => (await connectionsOf()) <= 5, 30_000);
}
/** Established connections of the process, as the kernel counts them; `owed`: only those whose client does not take what was sent. */
async function connectionsOf(which: 'all' | 'owed' = 'all'): Promise<number> {
  const port = api.port.toString(16).toUpperCase().padStart(4, '0');
  const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readFile(file, 'utf8')));
  const queue = which === 'all' ? '' : '(?!00000000:)';
  const entry = new RegExp(`^ *\\d+: \\S+:${port} \\S+ 01 ${queue}`);
  return tables
    .join('\n')
    .split('\n')
    .filter((line) => entry.test(line)).length;
}

test('600 readers that stop, in the middle of a first sync of 20 MB', (context) =>
  during(async () => {
    for (let round = 0; round < 6; round++) {
      await times(50, async () => {
        const connection = await connect();
        connection.socket.pause();
        connection.send(post('{}', { 'accept-encoding': 'identity' }));
      });
      await times(50, async () => {
        const raw = await connectWebSocket();
        raw.socket.pause();
        raw.send(setup({ token }));
        raw.send(requestStream({ n: 2 ** 31 - 1 }));
      });
    }
    // Their kernels, and ours, have taken what they take.
    await until('all of them to be waited for', async () => (await connectionsOf('owed')) >= 550, 60_000);
    await sleep(1000);
  }, context));

test('half-open sockets and slow loris: 2,500 that say nothing, or a byte now and then', (context) =>
  during(async () => {
    const beginnings = ['', 'POST /sync/stream HTTP/1.1\r\nhost: a\r\nx-', post('{}').slice(0, -1)];
    const all = await times(2500, async (index) => {
      const connection = await connect();
      connection.send(beginnings[index % 3]!);
      return connection;
    });
    for (let second = 0; second < 4; second++) {
      for (const [index, connection] of all.entries()) if (index % 3 === 1 && !connection.isOver) connection.send('y');
      await sleep(1000);
    }
    // Those beyond the limit, which leaves room for telling some of them why, are cut at once.
    const cut = (): boolean => all.filter(({ isOver }) => isOver).length >= 2500 - 2 * MAX_CONNECTIONS;
    await until('the connections beyond the limit to be cut', cut);
  }, context));

const subscriptions = (count: number): string =>
  JSON.stringify({
    streams: {
      subscriptions: Array.from({ length: count }, (_, index) => ({
        ...{ stream: 'mine', parameters: { at: index }, override_priority: null },
      })),
    },
  });

test('100,000 subscriptions, and as many as are allowed', (context) => {
  const many = post(subscriptions(100_000));
  expect(many.length).toBeGreaterThan(5 * MB);
  return during(async () => {
    for (let round = 0; round < 3; round++) {
      expect(new Set(await times(5, () => answerTo(many)))).toEqual(new Set(['400 PSYNC_S2001']));
    }
    // One bucket, for ten thousand reasons.
    const connection = await connect();
    connection.send(post(subscriptions(10_000)));
    await connection.until((text) => text.includes('"sub":9999'), 'the checkpoint', 30_000);
  }, context);
});

test('JSON that is deep or huge, over HTTP and WebSocket', (context) => {
  const members = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, i]));
  const refused = [
    [post(`{"parameters":${'{"a":'.repeat(1e6)}1${'}'.repeat(1e6)}}`), '400 PSYNC_S2001'],
    [post(JSON.stringify({ parameters: members(600_000) })), '400 PSYNC_S2001'],
    [post(JSON.stringify({ parameters: { list: Array(200_000).fill(1) } })), '400 PSYNC_S2001'],
    [post(JSON.stringify({ parameters: Array.from({ length: 20 }, () => members(10_000)) })), '400 PSYNC_S2001'],
    [post('{}', { 'content-length': '12000000' }), '413 PSYNC_S2020'],
  ] as const;
  const long = post(JSON.stringify({ parameters: { text: 'x'.repeat(9 * MB) } }));
  const open = Buffer.from(`{"parameters":${'['.repeat(2e6)}`);
  return during(async () => {
    for (let round = 0; round < 3; round++) {
      for (const [request, expected] of refused) {
        expect(new Set(await times(4, () => answerTo(request)))).toEqual(new Set([expected]));
      }
      await times(4, async () => {
        const connection = await connect();
        connection.send(long);
        await connection.until((text) => text.includes('"checkpoint"'), 'a stream', 60_000);
        connection.destroy();
      });
      await times(4, async () => {
        const raw = await connectWebSocket();
        raw.send(setup({ token }));
        raw.send(requestStream({ data: open }));
        await raw.until(() => raw.messages().some(({ kind }) => kind === 'error'), 'an error', 60_000);
        expect(raw.messages().at(-1)).toMatchObject({ message: expect.stringContaining('[PSYNC_S2001]') as string });
        raw.destroy();
      });
    }
  }, context);
});

test('decompression bombs', (context) => {
  const block = deflateRawSync(Buffer.alloc(MB), { finishFlush: constants.Z_SYNC_FLUSH });
  const bomb = Buffer.concat(Array.from({ length: 300 }, () => block));
  const zipped = gzipSync(Buffer.alloc(300 * MB));
  const head = Buffer.from(post('', { 'content-encoding': 'gzip', 'content-length': String(zipped.length) }));
  return during(async () => {
    await times(20, async (index) => {
      const raw = await connectWebSocket('permessage-deflate');
      if (index % 2 === 0) raw.send(setup({ token }));
      raw.send(bomb, { compressed: true });
      await raw.until(() => raw.isOver || raw.closeCode !== null, 'the end', 60_000);
    });
    // Requests are never decompressed.
    const answers = await times(20, () => answerTo(Buffer.concat([head, zipped])));
    expect(new Set(answers)).toEqual(new Set(['400 PSYNC_S2001']));
  }, context);
});

test('2,000 requests of a wrong type, without token, or elsewhere', (context) =>
  during(async () => {
    const requests = [
      [post('{}', { 'content-type': 'text/plain' }), '415 PSYNC_S2004'],
      [post('<a/>', { 'content-type': 'application/xml' }), '415 PSYNC_S2004'],
      [post('{}', { authorization: null }), '401 PSYNC_S2106'],
      [post('{}', { authorization: `Token ${token.slice(0, -6)}AAAAAA` }), '401 PSYNC_S2101'],
      [requestText('GET', '/wp-login.php'), '404 PSYNC_S2002'],
    ] as const;
    for (let round = 0; round < 20; round++) {
      await times(100, async (index) => {
        const [request, expected] = requests[index % requests.length]!;
        expect(await answerTo(request)).toBe(expected);
      });
    }
  }, context));

test('positions of another instance: buckets that nobody has, and operations that are still to come', (context) => {
  const bucketsOf = (after: string): string =>
    JSON.stringify({
      buckets: [...Array.from({ length: 100_000 }, (_, index) => ({ name: `9#mine|0["${index}"]`, after }))],
      streams: { include_defaults: false, subscriptions: [] },
    });
  const requests = ['5', '9223372036854775807'].map((after) => post(bucketsOf(after)));
  return during(async () => {
    for (const request of requests) {
      await times(3, async () => {
        const connection = await connect();
        connection.send(request);
        await connection.until((text) => text.includes('checkpoint_complete'), 'a checkpoint', 60_000);
        // Nothing of what it claims comes back.
        expect(connection.received).not.toContain('9#mine');
        connection.destroy();
      });
    }
    // Its own bucket, ahead of everything: it is told what there is, and its checksum shows it that it has something else.
    const name = [...app.tracked!.buckets.keys()].find((each) => each.includes('"alice"'))!.replace('alice', 'mallory');
    const ahead = await connect();
    ahead.send(post(JSON.stringify({ buckets: [{ name, after: '9223372036854775807' }] })));
    await ahead.until((text) => text.includes('checkpoint_complete'), 'a checkpoint', 60_000);
    expect(ahead.received).toContain(`"bucket":${JSON.stringify(name)},"checksum":`);
  }, context);
});

test('a storm of 3,000 clients that come, ask and are gone', (context) =>
  during(async () => {
    for (let round = 0; round < 15; round++) {
      await times(200, async (index) => {
        if (index % 2 === 0) {
          const connection = await connect();
          connection.send(post('{}'));
          if (index % 4 === 0) await connection.until((text) => text.includes('"data"'), 'some data', 60_000);
          connection.socket.resetAndDestroy();
        } else {
          const raw = await connectWebSocket();
          raw.send(setup({ token }));
          raw.send(requestStream({ data: json({}) }));
          if (index % 4 === 1) await raw.until(() => raw.frames.length > 2, 'some data', 60_000);
          raw.socket.resetAndDestroy();
        }
      });
      open.splice(0);
    }
  }, context));
