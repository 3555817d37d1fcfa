import { describe, expect, test } from 'vitest';
import { fails, holds, REASONS, unknown, type Reason } from '../reasons.ts';
import { readyVerdict, type ReadyInput } from './ready.ts';

const good: ReadyInput = {
  storage: holds(REASONS.Ready, 'Storage is reached.'),
  sources: holds(REASONS.Streaming, 'They stream.'),
  api: holds(REASONS.Available, 'There are.'),
  isServing: true,
};
const bad = (reason: Reason) => fails(reason, 'Not so.');
const dark = unknown('Nobody has told.');

describe('Ready', () => {
  test.each<[string, string, string, Partial<ReadyInput>]>([
    ['clients are served', 'True', 'Serving', {}],
    ['no sync config is active', 'False', 'NotServing', { isServing: false }],
    ['no API worker', 'False', 'NoReadyWorkers', { api: bad(REASONS.NoReadyWorkers) }],
    ['a source is behind', 'False', 'CatchingUp', { sources: bad(REASONS.CatchingUp) }],
    ['storage is away', 'False', 'Unreachable', { storage: bad(REASONS.Unreachable) }],
    ['storage is away, and so is the rest', 'False', 'Unreachable', { storage: bad(REASONS.Unreachable), api: dark }],
    ['the migration of an upgrade runs beside what serves', 'True', 'Serving', { storage: bad(REASONS.Migrating) }],
    ['… or has failed', 'True', 'Serving', { storage: bad(REASONS.MigrationFailed) }],
    ['… or waits for a Secret', 'True', 'Serving', { storage: bad(REASONS.WaitingForSecrets) }],
    [
      'the first migration',
      'False',
      'Migrating',
      { storage: bad(REASONS.Migrating), api: bad(REASONS.NoReadyWorkers), isServing: false },
    ],
    [
      'a migration does not hide a source that is behind',
      'False',
      'CatchingUp',
      { storage: bad(REASONS.Migrating), sources: bad(REASONS.CatchingUp) },
    ],
    ['a source does not answer', 'Unknown', 'NotKnown', { sources: dark }],
    ['what is wrong wins over what is not known', 'False', 'CatchingUp', { storage: dark, sources: bad('CatchingUp') }],
  ])('%s: %s, %s', (_, status, reason, given) => {
    expect(readyVerdict({ ...good, ...given })).toMatchObject({ status, reason });
  });

  test('says which condition it is about', () => {
    expect(readyVerdict({ ...good, api: bad(REASONS.NoReadyWorkers) }).message).toBe('ApiAvailable: Not so.');
    expect(readyVerdict({ ...good, storage: dark }).message).toBe('StorageReady: Nobody has told.');
  });
});
