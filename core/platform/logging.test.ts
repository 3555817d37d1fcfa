import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codedError } from './errors/coded-error.ts';
import { createLogger, describeError, type Logger, type LoggerOptions } from './logging.ts';

function capture(options: Partial<LoggerOptions> = {}): {
  log: Logger;
  text: () => string;
  lines: () => Record<string, unknown>[];
} {
  let written = '';
  const destination = { write: (chunk: string) => void (written += chunk) };
  const log = createLogger({ level: 'info', format: 'json', destination, ...options });
  const lines = (): Record<string, unknown>[] =>
    written
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { log, text: () => written, lines };
}

describe('logging', () => {
  test('JSON lines have every property as a field (O-189, O-198, O-199)', () => {
    const { log, lines } = capture({ fields: { role: 'api' } });
    log.child({ rid: 'r1' }).info({ user_id: 'u1', operations_synced: 5 }, 'Sync stream complete');
    expect(lines()).toEqual([
      {
        level: 'info',
        timestamp: expect.stringMatching(/^\d{4}-.*Z$/) as string,
        role: 'api',
        rid: 'r1',
        user_id: 'u1',
        operations_synced: 5,
        message: 'Sync stream complete',
      },
    ]);
  });

  test.each([
    ['silly', ['debug', 'info', 'warn', 'error']],
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['verbose', ['debug', 'info', 'warn', 'error']],
    ['http', ['info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
  ] as const)('level %s (O-27)', (level, expected) => {
    const { log, lines } = capture({ level });
    for (const each of ['debug', 'info', 'warn', 'error'] as const) log[each]({}, each);
    expect(lines().map(({ message }) => message)).toEqual(expected);
  });

  test('text is one readable line with its fields (O-28)', () => {
    const { log, text } = capture({ format: 'text' });
    log.warn({ source: 'default' }, 'Replication lags');
    expect(text()).toMatch(/^\[\d{4}-\d\d-\d\d [\d:.]+\] WARN: Replication lags\n\s+source: "default"\n$/);
  });

  test('errors carry their code, causes and stack (O-189)', () => {
    const { log, lines } = capture();
    const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    log.error({ error: codedError('PSYNC_S2402', 'Storage is away', { cause, details: ['a'] }) }, 'Read failed');
    log.error({ err: new Error('plain') }, 'Other');
    expect(lines()[0]).toMatchObject({
      error_code: 'PSYNC_S2402',
      error: {
        code: 'PSYNC_S2402',
        message: '[PSYNC_S2402] Storage is away',
        details: ['a'],
        stack: expect.stringContaining('logging.test.ts') as string,
        cause: { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' },
      },
    });
    expect(lines()[1]).toMatchObject({ error: { message: 'plain' } });
    expect(lines()[1]).not.toHaveProperty('err');
  });

  test('nothing secret is written, in either format (O-195)', () => {
    const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzZWNyZXQtMSJ9.c2VjcmV0';
    for (const format of ['json', 'text'] as const) {
      const { log, text } = capture({ format });
      log.info({ password: 'secret-1', nested: { token: 'secret-2', authorization: 'secret-3' } }, 'fields');
      const driver = Object.assign(new Error('duplicate key: postgresql://u:secret-4@h/d'), {
        detail: 'Key (email)=(secret-5) already exists.',
        parameters: ['secret-6'],
        code: '23505',
      });
      const value = Object.assign(new Error('invalid input syntax for type integer: "secret-7"'), { code: '22P02' });
      log.error(
        { error: new AggregateError([value, new Error(`token ${jwt}`)], 'several', { cause: driver }) },
        'errors',
      );
      expect(text()).not.toMatch(/secret-|eyJ/);
      expect(text()).toContain('postgresql://***@h/d');
    }
  });

  test('anything that is thrown can be described, at any depth', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withNullPrototype: true, withDate: true }), (thrown) => {
        const described = describeError(thrown instanceof Error ? thrown : new Error('x', { cause: thrown }));
        expect(() => JSON.stringify(described)).not.toThrow();
      }),
    );
    const loop = new Error('loop');
    loop.cause = loop;
    expect(inspect(describeError(loop), { depth: 20 }).match(/message: 'loop'/g)).toHaveLength(6);
  });
});
