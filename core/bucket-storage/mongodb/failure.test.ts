import { inspect } from 'node:util';
import { MongoNetworkError, MongoServerError, MongoServerSelectionError } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { codedError, isCodedError } from '../../platform/errors/coded-error.ts';
import { failureKind, isUnknownOutcome, storageError } from './failure.ts';

const secret = 'secret-row-data';
const serverError = (code: number, codeName: string, labels: string[] = []): MongoServerError =>
  new MongoServerError({ message: `E${code} dup key: { _id: "${secret}" }`, code, codeName, errorLabels: labels });

describe('errors of MongoDB', () => {
  test.each([
    ['duplicate key', serverError(11000, 'DuplicateKey'), 'query', 'PSYNC_S2404'],
    ['time limit', serverError(50, 'MaxTimeMSExpired'), 'timeout', 'PSYNC_S2403'],
    ['conflict', serverError(112, 'WriteConflict', ['TransientTransactionError']), 'conflict', 'PSYNC_S1402'],
    ['ended by a successor', serverError(251, 'NoSuchTransaction'), 'conflict', 'PSYNC_S1402'],
    ['login', serverError(18, 'AuthenticationFailed'), 'connection', 'PSYNC_S2402'],
    ['stepped down', serverError(10107, 'NotWritablePrimary'), 'connection', 'PSYNC_S2402'],
    ['network', new MongoNetworkError(`connect to mongodb://u:${secret}@host`), 'connection', 'PSYNC_S2402'],
  ])('%s', (_name, error, kind, code) => {
    expect(failureKind(error)).toBe(kind);
    const coded = storageError(error);
    expect(isCodedError(coded, code as 'PSYNC_S2404')).toBe(true);
    expect(inspect(coded, { depth: 10 })).not.toContain(secret);
  });

  test('a server that cannot be selected is a lost connection', () => {
    const error = Object.assign(Object.create(MongoServerSelectionError.prototype) as MongoServerSelectionError, {
      reason: undefined,
    });
    expect(storageError(error).message).toMatch(/PSYNC_S2402.*no primary found/);
  });

  test('own errors pass', () => {
    const own = codedError('PSYNC_S1003', 'fenced');
    expect(storageError(own)).toBe(own);
    expect(failureKind(new TypeError('a bug'))).toBe('own');
  });

  test('the outcome of a commit is unknown only with the label', () => {
    expect(isUnknownOutcome(serverError(64, 'WriteConcernFailed', ['UnknownTransactionCommitResult']))).toBe(true);
    expect(isUnknownOutcome(serverError(112, 'WriteConflict'))).toBe(false);
  });
});
