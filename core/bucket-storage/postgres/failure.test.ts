import { describe, expect, test } from 'vitest';
import { codedError } from '../../platform/errors/coded-error.ts';
import { failureKind, storageError } from './failure.ts';

const driverError = (code: string, message: string, more: object = {}): Error =>
  Object.assign(new Error(message), { code, detail: 'Key (key)=(secret row) already exists.', ...more });

describe('errors of Postgres', () => {
  test.each([
    ['ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:1', 'connection', 'PSYNC_S2402'],
    ['EPIPE', 'write EPIPE', 'connection', 'PSYNC_S2402'],
    ['57P01', 'terminating connection due to administrator command', 'connection', 'PSYNC_S2402'],
    ['57P03', 'the database system is starting up', 'connection', 'PSYNC_S2402'],
    ['28P01', 'password authentication failed for user "u"', 'connection', 'PSYNC_S2402'],
    ['57014', 'canceling statement due to statement timeout', 'timeout', 'PSYNC_S2403'],
    ['55P03', 'canceling statement due to lock timeout', 'lock-timeout', 'PSYNC_S2403'],
    ['40P01', 'deadlock detected', 'conflict', 'PSYNC_S1402'],
    ['42501', 'permission denied for database x', 'query', 'PSYNC_S2404'],
    ['23505', 'duplicate key value violates unique constraint "bucket_data_pkey"', 'query', 'PSYNC_S2404'],
  ])('%s %s', (code, message, kind, expected) => {
    const error = driverError(code, message);
    expect(failureKind(error)).toBe(kind);
    expect(storageError(error)).toMatchObject({ code: expected });
  });

  test('driver errors without a code', () => {
    expect(failureKind(new Error('Connection terminated unexpectedly'))).toBe('connection');
    // Nobody knows whether the statement was carried out.
    expect(failureKind(new Error('Query read timeout'))).toBe('connection');
    expect(storageError(new Error('timeout exceeded when trying to connect'))).toMatchObject({ code: 'PSYNC_S2403' });
  });

  test('no values of rows get out, neither in the message nor in the cause (O-195)', () => {
    const unique = driverError('23505', 'duplicate key', { table: 'bucket_data', constraint: 'bucket_data_pkey' });
    const syntax = driverError('22P02', 'invalid input syntax for type bigint: "secret row"');
    for (const error of [unique, syntax]) {
      const coded = storageError(error);
      expect(coded.message).toContain('SQLSTATE');
      expect(`${coded.message} ${(coded.cause as Error).message} ${JSON.stringify(coded.cause)}`).not.toContain(
        'secret',
      );
    }
    expect(storageError(unique).message).toContain('bucket_data_pkey');
  });

  test('what is not of Postgres passes as it is', () => {
    for (const error of [codedError('PSYNC_S1003', 'x'), new TypeError('x is undefined'), new RangeError('x')]) {
      expect(storageError(error)).toBe(error);
      expect(failureKind(error)).toBe('own');
    }
  });
});
