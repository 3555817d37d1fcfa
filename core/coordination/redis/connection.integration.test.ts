import { describe, expect, test, vi } from 'vitest';
import { realClock } from '#core/platform/clock.ts';
import { startRedis } from '#test/services/redis.ts';
import { testEnvironment } from '../conformance.ts';
import { connect, type Connection } from './connection.ts';

/** A connection that writes down what it reports. */
function reporting(uri: string): { connection: Connection; reports: string[] } {
  const reports: string[] = [];
  const report = (fields: object, message: string): void => void reports.push(JSON.stringify({ ...fields, message }));
  const environment = { ...testEnvironment(), log: { info: report, warn: report } };
  return { connection: connect({ uri, keyPrefix: 'x:' }, 'commands', environment), reports };
}

describe('connection to Redis', () => {
  test('with password and database; a wrong password is reported once, never shown, and tried again', async () => {
    await using server = await startRedis({ arguments: ['--requirepass', 'right secret'] });
    const { host } = new URL(server.url);
    const right = reporting(`redis://:right%20secret@${host}/3`);
    const wrong = reporting(`redis://user:wrong-secret@${host}`);
    expect(await right.connection.whenReady(2000)).toBe(true);
    await right.connection.client.set('x:here', '1');
    expect(await right.connection.client.info('keyspace')).toContain('db3:keys=1');
    await vi.waitFor(() => expect(wrong.reports).toHaveLength(1));
    expect(await wrong.connection.whenReady(500)).toBe(false);
    await expect(wrong.connection.client.get('x:here')).rejects.toThrow();
    await realClock.sleep(300);
    expect(wrong.reports).toHaveLength(1);
    expect(wrong.reports[0]).toContain('PSYNC_S2502');
    expect(wrong.reports.join() + right.reports.join()).not.toContain('secret');

    await right.connection.client.acl('SETUSER', 'user', 'on', '>wrong-secret', '~*', '&*', '+@all');
    expect(await wrong.connection.whenReady(2000)).toBe(true);
    expect(wrong.reports.at(-1)).toContain('reachable again');
    right.connection.close();
    wrong.connection.close();
    expect(await wrong.connection.whenReady(2000)).toBe(false);
  });

  test('commands do not wait for a Redis that is away, and are not sent later', async () => {
    await using server = await startRedis();
    const { connection } = reporting(server.url);
    expect(await connection.whenReady(2000)).toBe(true);
    const blocked = expect(connection.client.blpop('x:list', 0)).rejects.toThrow();
    await server.kill();
    await blocked;
    await expect(connection.client.incr('x:counter')).rejects.toThrow();
    await server.start();
    expect(await connection.whenReady(3000)).toBe(true);
    expect(await connection.client.get('x:counter')).toBe(null);
    connection.close();
  });

  test('a server that does not answer is left after a second', async () => {
    await using server = await startRedis({ arguments: ['--enable-debug-command', 'yes'] });
    const { connection } = reporting(server.url);
    const other = reporting(server.url).connection;
    await Promise.all([connection.whenReady(2000), other.whenReady(2000)]);
    void connection.client.call('DEBUG', 'SLEEP', '2.5').catch(() => {});
    await realClock.sleep(50);
    const from = performance.now();
    await expect(other.client.get('x:key')).rejects.toThrow();
    expect(performance.now() - from).toBeLessThan(1500);
    expect(await other.whenReady(5000)).toBe(true);
    expect(await other.client.get('x:key')).toBe(null);
    connection.close();
    other.close();
  });
});
