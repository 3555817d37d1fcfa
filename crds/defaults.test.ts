import { expect, test } from 'vitest';
import { compileSyncConfig } from '#core/sync-config/compile.ts';
import * as limits from '#core/platform/limits.ts';
import { validExamples } from './testing/examples.ts';
import { withDefaults } from './testing/with-defaults.ts';

const examples = await validExamples();
const quickStart = withDefaults(examples.find(({ name }) => name === 'quick-start.yaml')!.manifest);

test('defaults of the data plane are those that it documents', () => {
  const { api, sources } = quickStart.spec;
  expect(api.maxConnections).toBe(limits.DEFAULT_MAX_CONCURRENT_CONNECTIONS);
  expect(api.limits).toEqual({
    maxBucketsPerConnection: limits.DEFAULT_MAX_BUCKETS_PER_CONNECTION,
    maxParameterQueryResults: limits.DEFAULT_MAX_PARAMETER_QUERY_RESULTS,
    maxDataFetchConcurrency: limits.DEFAULT_MAX_DATA_FETCH_CONCURRENCY,
  });
  expect(api.terminationGracePeriodSeconds * 1000).toBe(limits.SHUTDOWN_GRACE_MS);
  expect(sources[0]!.postgresql!.heartbeatIntervalSeconds).toBe(limits.DEFAULT_HEARTBEAT_SECONDS);
});

test('the quick start gets these defaults', () => {
  const pods = {
    resources: { requests: {}, limits: {} },
    nodeSelector: {},
    tolerations: [],
    podLabels: {},
    podAnnotations: {},
    env: [],
  };
  const { sources, storage, redis, syncConfig, clientAuth, api, ...rest } = quickStart.spec;
  expect(sources).toEqual([
    {
      name: 'default',
      type: 'postgresql',
      postgresql: {
        uriSecretRef: { name: 'demo-source', key: 'uri' },
        rejectIpRanges: [],
        heartbeatIntervalSeconds: 60,
        slotNamePrefix: 'powersync_',
      },
      debugApi: false,
      replicas: 2,
      ...pods,
    },
  ]);
  expect(storage).toEqual({
    type: 'mongodb',
    mongodb: { uriSecretRef: { name: 'demo-storage', key: 'uri' }, rejectIpRanges: [] },
  });
  expect(redis).toEqual({ uriSecretRef: { name: 'demo-redis', key: 'uri' } });
  expect(syncConfig).toMatchObject({ approval: 'Automatic', approvedRevision: '' });
  expect(clientAuth).toMatchObject({ jwksUris: [], issuers: [], supabase: false, rejectIpRanges: [] });
  expect(api).toMatchObject({
    replicas: 2,
    inspector: false,
    service: { type: 'ClusterIP', port: 80, annotations: {}, labels: {} },
    podDisruptionBudget: { maxUnavailable: 1 },
    ...pods,
  });
  expect(rest).toEqual({
    image: { pullPolicy: 'IfNotPresent', pullSecrets: [] },
    paused: false,
    compaction: { schedule: '0 3 * * *', suspend: false, timeoutSeconds: 21_600, ...pods },
    telemetry: {
      podMonitor: { enabled: false, labels: {}, intervalSeconds: 30 },
      logLevel: 'info',
      logFormat: 'json',
    },
    networkPolicy: { enabled: true, apiFrom: [], metricsFrom: [] },
    serviceAccount: { annotations: {} },
    deletion: { policy: 'Delete', timeoutSeconds: 300 },
  });
});

test('the sync configs of the examples are valid', () => {
  const inline = examples.flatMap(({ manifest }) => withDefaults(manifest).spec.syncConfig.inline ?? []);
  expect(inline.length).toBeGreaterThan(1);
  const options = { defaultSource: 'default', sources: ['default'], defaultSchemas: { default: 'public' } };
  expect(inline.flatMap((text) => compileSyncConfig(text, options).diagnostics)).toEqual([]);
});
