import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LONGEST_STATUS_BYTES, STATUS_LIMITS, type PartStatus } from './contract.ts';
import { readPartStatus } from './parse.ts';

const AT = '2026-01-02T03:04:05.000Z';
const STATUS: PartStatus = {
  format: 1,
  role: 'unified',
  version: '0.1.0',
  instance: null,
  hostName: 'demo-replicator-default-0',
  startedAt: AT,
  observedAt: AT,
  ready: true,
  api: { connections: 3, connectionLimit: 200, draining: false },
  sources: [
    {
      tag: 'default',
      leader: true,
      state: 'Copying',
      lagBytes: 10,
      lagSeconds: 0.5,
      lastCommitAt: AT,
      snapshot: { version: 2, rowsCopied: 5, rowsEstimated: 10, secondsRemaining: null },
      log: { retainedBytes: 1, limitBytes: null, safeBytes: null },
      error: { code: 'PSYNC_S1146', message: 'lost' },
      findings: [{ level: 'warning', code: 'PSYNC_S1178', message: 'half', since: AT }],
    },
  ],
  storage: { reachable: true, error: null, observedAt: AT },
  syncConfig: [
    {
      ...{ version: 2, state: 'active', revision: '0123456789abcdef', label: null, createdAt: AT, activatedAt: AT },
      error: null,
      streams: ['boats'],
      tables: [{ source: 'default', schema: 'public', name: 'boats', rows: 4 }],
      definitions: [
        { kind: 'bucket', identity: 'x', name: 'boats|0', source: 'default', streams: ['boats'], tables: [0] },
      ],
    },
  ],
  cut: [],
};

test('a status is read as it was written; what a newer part adds is left out', () => {
  expect(readPartStatus(JSON.stringify(STATUS))).toEqual({ status: STATUS });
  const newer = { ...STATUS, more: 1, api: { ...STATUS.api, token: 'x' } };
  expect(readPartStatus(JSON.stringify(newer))).toEqual({ status: STATUS });
});

test('anything else is refused, and never shown', () => {
  const wrong: Record<string, unknown>[] = [
    { format: 2 },
    { role: 'secret-role' },
    { api: { connections: -1, connectionLimit: 1, draining: false } },
    { api: { connections: '1', connectionLimit: 1, draining: false } },
    { hostName: 'secret'.repeat(STATUS_LIMITS.name) },
    { sources: Array.from({ length: STATUS_LIMITS.sources + 1 }, () => STATUS.sources[0]) },
    { sources: [{ ...STATUS.sources[0], error: { code: 'secret', message: '' } }] },
    { syncConfig: [{ ...STATUS.syncConfig![0], revision: 'secret' }] },
    { storage: undefined },
  ];
  for (const change of wrong) {
    const read = readPartStatus(JSON.stringify({ ...STATUS, ...change }));
    expect(read.problem, JSON.stringify(change)).toBeDefined();
    expect(read.problem).not.toContain('secret');
  }
  expect(readPartStatus(' '.repeat(LONGEST_STATUS_BYTES + 1)).problem).toMatch(/longer/);
});

test('no text makes it throw', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      expect(readPartStatus(text).status).toBeUndefined();
    }),
  );
});
