import { expect, test } from 'vitest';
import type { BucketStorage, ReplicationStream, StreamProgress } from '#core/bucket-storage/contract.ts';
import type { DeployedVersion } from '#core/bucket-storage/sync-config-store.ts';
import { parseServiceConfig } from '#core/platform/config/load.ts';
import { createDiagnostics } from './diagnostics.ts';

const SECRET = 'hunter2';
const CONFIG = `
replication:
  connections: [{type: postgresql, uri: "postgresql://millrace:${SECRET}@db.example:5432/app", sslmode: disable}]
storage: {type: postgresql, uri: "postgresql://millrace:${SECRET}@db.example:5432/buckets", sslmode: disable}
`;
const CREATED = Date.UTC(2026, 0, 1);

async function diagnose(
  lastCommitMs: number | null,
  now: number,
  state: DeployedVersion['state'] = 'active',
  progress: StreamProgress | null = null,
) {
  const parsed = parseServiceConfig(CONFIG, { environment: {}, folder: '.', needsSource: true });
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  const source = parsed.config.replication.connections[0]!.tag;
  const stream: ReplicationStream = {
    id: 1,
    source,
    version: 1,
    slot: 'slot_1',
    position: '0/1',
    progress,
    definitions: [],
    committedOp: 0,
    lastCommitMs,
  };
  const version = {
    ...{
      version: 1,
      state,
      content: 'streams: {}',
      plan: JSON.stringify({
        tables: [{ source, schema: 'public', name: 'items', wildcard: false }],
        buckets: [],
        lookups: [],
      }),
      label: null,
      definitions: [],
    },
    ...{ streams: [stream], error: null, createdMs: CREATED, activatedMs: CREATED },
  } satisfies DeployedVersion;
  const validate = async () => ({ result: { plan: null, diagnostics: [] }, tables: null, unread: [] });
  const storage = { configs: { live: async () => [version] } } as unknown as BucketStorage;
  const answer = createDiagnostics({ config: parsed.config, storage, reports: () => [], validate, now: () => now });
  return (await answer({ content: false })) as {
    connections: { connected: boolean }[];
    active_sync_rules?: { errors: { level: string; message: string }[] };
    deploying_sync_rules?: { errors: { level: string }[] };
  };
}

const MINUTE = 60_000;

test.each([
  [5, []],
  [6, ['warning']],
  [15, ['warning']],
  [16, ['fatal']],
])('%i minutes without a commit: %j (R-68)', async (minutes, levels) => {
  const found = await diagnose(CREATED + MINUTE, CREATED + MINUTE + minutes * MINUTE);
  expect(found.active_sync_rules!.errors.map(({ level }) => level)).toEqual(levels);
});

test('a version that never committed is measured from its deployment; one that is copied is not measured', async () => {
  const now = CREATED + 20 * MINUTE;
  expect((await diagnose(null, now)).active_sync_rules!.errors).toMatchObject([{ level: 'fatal' }]);
  expect((await diagnose(null, now, 'processing')).deploying_sync_rules!.errors).toEqual([]);
});

test('no secrets (O-112)', async () => {
  const text = JSON.stringify(await diagnose(null, CREATED));
  expect(text).toContain('db.example');
  expect(text).not.toContain(SECRET);
});

test('where no replicator of this process knows, what storage says of tables and of a copy that waits (R-59, R-109)', async () => {
  const blocked = { code: 'PSYNC_S1146', message: 'The slot is lost.' };
  const errors = [{ level: 'fatal', code: 'PSYNC_S1152', message: 'Not readable.' }] as const;
  const reports = [{ schema: 'public', name: 'items', identityColumns: ['id'], errors }];
  const progress = {
    snapshot: 'copying',
    startPosition: '0/1',
    holdUntil: null,
    tables: [],
    reports,
    blocked,
  } as const;
  const found = await diagnose(null, CREATED, 'processing', progress);
  expect(found.deploying_sync_rules).toMatchObject({
    errors: [{ level: 'fatal', ...blocked }],
    connections: [{ tables: [{ name: 'items', replication_id: ['id'], errors }] }],
  });
});
