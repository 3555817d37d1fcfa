/** Revoked tokens: refused at the door, and cut where they are in use. */
import { afterEach, describe, expect, test } from 'vitest';
import { createRevocationList, revocationOf, type RevocationTarget } from '#core/platform/auth/revocations.ts';
import { createFakeClock, realClock } from '#core/platform/clock.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { REVOCATIONS_STALE_MS } from '#core/platform/limits.ts';
import { RefusedError } from '#test/client/protocol-client.ts';
import { eventually, startDirectSession, startDirectWorker } from '../testing/direct-session.ts';
import { createFakeStorage } from '../testing/fake-storage.ts';
import { DEFINITIONS, PLAN, startHarness, type Harness } from '../testing/harness.ts';
import { openWebSocket } from '../testing/raw-websocket.ts';
import { requestStream, setup, type ServerFrame } from '../testing/rsocket-peer.ts';
import { openConnection } from '../testing/raw-connection.ts';
import { followRevocations } from './follow-revocations.ts';

const close: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of close.splice(0)) await each();
});

async function start(): Promise<Harness> {
  const harness = await startHarness();
  close.push(() => harness.close());
  return harness;
}
const MOST = 10;
const now = (): number => Math.floor(Date.now() / 1000);
const revoke = (harness: Harness, target: RevocationTarget): Promise<void> =>
  harness.storage.revocations.revoke(revocationOf(target, Date.now()), MOST);
/** Of the harness' tokens, which tell nothing of when they were issued. */
const all = (subject: string): RevocationTarget => ({ subject, issuedBefore: now() + 1 });

describe('a stream whose token is revoked', () => {
  test.each(['bson', 'ndjson'] as const)(
    'over HTTP (%s) is told so and ends; streams of others go on',
    async (encoding) => {
      const harness = await start();
      const [alice, bob] = [harness.client('alice', { encoding }), harness.client('bob', { encoding })];
      await Promise.all([alice.connect(), bob.connect()]);
      await Promise.all([alice, bob].map((client) => client.until(() => client.completedOp !== null)));
      await revoke(harness, all('alice'));
      harness.wake('revocations');
      await alice.ended;
      // By this line a client knows that it needs another token (S-583).
      expect(alice.lines.at(-1)).toEqual({ token_expires_in: 0 });
      expect(harness.logged).toContainEqual(
        expect.objectContaining({
          message: 'Sync stream complete',
          fields: expect.objectContaining({ user_id: 'alice', close_reason: 'token revoked' }) as unknown,
        }),
      );
      harness.commit({ changes: [{ definition: 1, key: '[]', op: 'PUT', id: 'later' }] });
      await bob.until(() => bob.visible.size > 0, 'the later row');
      await expect(alice.connect()).rejects.toMatchObject({ status: 401 });
      await expect(alice.connect()).rejects.toThrow('PSYNC_S2120');
    },
  );

  test('over WebSocket ends with the code of the refusal', async () => {
    const harness = await start();
    const alice = harness.client('alice', { transport: 'websocket' });
    await alice.connect();
    await alice.until(() => alice.completedOp !== null);
    await revoke(harness, all('alice'));
    harness.wake('revocations');
    const failure = await alice.ended.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RefusedError);
    expect((failure as RefusedError).body).toContain('[PSYNC_S2120]');
    await expect(alice.connect()).rejects.toThrow('PSYNC_S2120');
  });

  test('cannot be replaced by another stream on the same WebSocket connection, which is older than the revocation', async () => {
    const harness = await start();
    const raw = await openWebSocket(harness.endpoint);
    close.push(() => raw.destroy());
    raw.send(setup({ token: 'alice' }));
    raw.send(requestStream());
    await raw.until(() => raw.messages().some(({ kind }) => kind === 'line'), 'a line');
    await revoke(harness, all('alice'));
    harness.wake('revocations');
    const refusals = (): ServerFrame[] => raw.messages().filter(({ kind }) => kind === 'error');
    await raw.until(() => refusals().length === 1, 'the end of the stream');
    raw.send(requestStream({ stream: 3 }));
    await raw.until(() => refusals().length === 2, 'the refusal of another stream');
    const message = expect.stringContaining('[PSYNC_S2120]') as string;
    expect(refusals()).toMatchObject([
      { stream: 1, message },
      { stream: 3, message },
    ]);
    expect(harness.worker.sessions.count).toBe(0);
  });

  test('is cut when the client does not read', async () => {
    const storage = createFakeStorage();
    storage.deploy(1, DEFINITIONS, PLAN);
    storage.commit({ version: 1 });
    const worker = startDirectWorker({ storage });
    close.push(() => worker.close());
    const reading = startDirectSession(worker, 'alice');
    const stuck = startDirectSession(worker, 'alice', { patience: () => 1 });
    await eventually(() => reading.model.completedOp !== null && stuck.lines.length > 0, 'both have started');
    for (const { session } of [reading, stuck]) session.end('token revoked');
    expect(reading.lines.at(-1)).toEqual({ token_expires_in: 0 });
    expect(reading.outcome).toMatchObject({ kind: 'failed', error: { code: 'PSYNC_S2120' } });
    expect(stuck.outcome).toEqual({ kind: 'aborted' });
    const unborn = startDirectSession(worker, 'alice');
    unborn.session.end('token revoked');
    expect(unborn.outcome).toMatchObject({ kind: 'failed', error: { code: 'PSYNC_S2120' } });
    expect(unborn.lines).toEqual([]);
  });

  test('does not begin when it was revoked while the request was being sent', async () => {
    const harness = await start();
    const body = JSON.stringify({ buckets: [], client_id: 'c' });
    const connection = await openConnection(harness.endpoint);
    close.push(() => connection.destroy());
    connection.send(
      `POST /sync/stream HTTP/1.1\r\nhost: x\r\nauthorization: Token alice\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, 5)}`,
    );
    await revoke(harness, all('alice'));
    const { reads } = harness.storage;
    const before = reads['revocations'] ?? 0;
    harness.wake('revocations');
    await expect.poll(() => reads['revocations']).toBeGreaterThan(before);
    connection.send(body.slice(5));
    expect(await connection.answer()).toMatchObject({ status: 401, error: { code: 'PSYNC_S2120' } });
  });
});

describe('following the deny list', () => {
  function follow(clock = createFakeClock()) {
    const storage = createFakeStorage();
    const list = createRevocationList(clock);
    const stop = new AbortController();
    close.push(() => stop.abort());
    const listeners = new Set<() => void>();
    const failures: unknown[] = [];
    let told = 0;
    const first = followRevocations({
      store: storage.revocations,
      coordination: {
        onNudge(_topic, listener) {
          listeners.add(listener);
          return () => void listeners.delete(listener);
        },
      },
      list,
      clock,
      signal: stop.signal,
      onRevoked: () => told++,
      onFailure: (error) => failures.push(error),
    });
    const record = (jti: string): Promise<void> => storage.revocations.revoke(revocationOf({ jti }, clock.now()), MOST);
    const isRevoked = (jti: string): boolean => list.isRevoked({ sub: 'a', jti, iat: 0 });
    return { ...{ clock, storage, list, stop, listeners, failures, first, record, isRevoked }, told: () => told };
  }

  test('without a word from anybody it is read every other second (G10)', async () => {
    const { clock, first, record, isRevoked, told } = follow();
    await first;
    await record('x');
    await clock.advance(1999);
    expect(isRevoked('x')).toBe(false);
    await clock.advance(1);
    expect(isRevoked('x')).toBe(true);
    await clock.advance(60_000);
    expect(told()).toBe(1);
  });

  test('a nudge while it is being read makes it be read once more', async () => {
    const { clock, storage, listeners, first, record, isRevoked } = follow();
    await first;
    let go = (): void => undefined;
    storage.beforeRead = () => new Promise<void>((resolve) => (go = resolve));
    for (const nudge of listeners) nudge();
    await clock.advance(0);
    const release = go;
    for (const nudge of listeners) nudge();
    storage.beforeRead = () => undefined;
    release();
    await record('x');
    await clock.advance(0);
    await clock.advance(0);
    expect(isRevoked('x')).toBe(true);
  });

  test('while storage is away what is known stays; after a minute nobody new is let in, until it is back', async () => {
    const { clock, storage, list, failures, first, record, isRevoked } = follow();
    await first;
    await record('x');
    await clock.advance(2000);
    storage.beforeRead = () => Promise.reject(codedError('PSYNC_S2402', 'away'));
    await clock.advance(REVOCATIONS_STALE_MS);
    expect(failures.length).toBeGreaterThan(20);
    expect(isRevoked('x')).toBe(true);
    expect(list.refusal({ sub: 'a' })).toBeNull();
    await clock.advance(2001);
    expect(list.refusal({ sub: 'a' })).toMatchObject({ code: 'PSYNC_S2402', status: 503 });
    expect(list.refusal({ sub: 'a', jti: 'x' })).toMatchObject({ code: 'PSYNC_S2120', status: 401 });
    // Who is in stays in: without storage there is nothing new for them either.
    expect(isRevoked('y')).toBe(false);
    storage.beforeRead = () => undefined;
    await clock.advance(2000);
    expect(list.refusal({ sub: 'a' })).toBeNull();
  });

  test('it is read before the first client can come', async () => {
    const storage = createFakeStorage();
    storage.deploy(1, DEFINITIONS, PLAN);
    let isRead = false;
    let wasReadFirst: boolean | null = null;
    storage.beforeRead = async (what) => {
      if (what !== 'revocations' || isRead) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
      isRead = true;
    };
    const harness = await startHarness({
      storage,
      worker: {
        extraRoutes({ server }) {
          server.once('listening', () => (wasReadFirst = isRead));
        },
      },
    });
    close.push(() => harness.close());
    expect(wasReadFirst).toBe(true);
  });

  test('before it was read once nobody is let in, and the worker starts all the same', async () => {
    const storage = createFakeStorage();
    storage.deploy(1, DEFINITIONS, PLAN);
    storage.beforeRead = () => Promise.reject(codedError('PSYNC_S2402', 'away'));
    const revocations = createRevocationList(realClock);
    const harness = await startHarness({ storage, worker: { revocations } });
    close.push(() => harness.close());
    expect(revocations.refusal({ sub: 'a' })).toMatchObject({ code: 'PSYNC_S2402' });
    expect(harness.logged.map(({ message }) => message)).toContain(
      'The list of revoked tokens cannot be read; trying again',
    );
  });

  test('it ends with its worker', async () => {
    const { clock, stop, listeners, first, storage } = follow();
    await first;
    stop.abort();
    expect(listeners.size).toBe(0);
    const before = storage.reads['revocations'];
    await clock.advance(10_000);
    expect(storage.reads['revocations']).toBe(before);
  });
});
