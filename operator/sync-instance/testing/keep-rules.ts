import type { SyncInstanceSpec } from '#crds/sync-instance/sync-instance.ts';
import type { SourceSpec } from '#crds/sync-instance/sources.ts';

type Draft = Record<string, unknown>;

/** Mends what the CEL rules of the resource forbid, by leaving out or replacing as little as possible. */
export function keepRules(spec: SyncInstanceSpec): SyncInstanceSpec {
  const { api, image, syncConfig, storage } = spec;
  const sources = uniqueBy(spec.sources.map(mendSource), ({ name }) => name);
  only(storage, storage.type, ['mongodb', 'postgresql'], MINIMAL_STORAGE);
  if (storage.postgresql) mendPostgres(storage.postgresql);
  if (storage.mongodb) mendMongodb(storage.mongodb);
  if (image.tag !== undefined) delete image.digest;
  if (syncConfig.inline === undefined) syncConfig.configMapRef ??= { name: 'sync-config', key: 'sync-config.yaml' };
  else delete syncConfig.configMapRef;
  if (syncConfig.approval === 'Automatic') syncConfig.approvedRevision = '';
  mendApi(api);
  mendClientAuth(spec, sources);
  for (const part of [...sources, api, spec.compaction]) mendPods(part);
  const peers = [...spec.networkPolicy.apiFrom, ...spec.networkPolicy.metricsFrom];
  for (const peer of peers) mendPeer(peer);
  spec.compaction.schedule = ['0 3 * * *', '@daily', '*/5 1-3 * * MON'][spec.compaction.timeoutSeconds % 3]!;
  delete spec.compaction.timeZone;
  return { ...spec, sources };
}

function only(section: Draft, kept: string, names: readonly string[], minimal: Readonly<Record<string, Draft>>): void {
  for (const name of names) if (name !== kept) delete section[name];
  section[kept] ??= structuredClone(minimal[kept]);
}

const secret = (key: string) => ({ name: 'minimal', key });
const common = { rejectIpRanges: [], heartbeatIntervalSeconds: 60 };
const minimalStorage = { uriSecretRef: secret('uri'), rejectIpRanges: [] };
const MINIMAL_STORAGE: Readonly<Record<string, Draft>> = { mongodb: minimalStorage, postgresql: minimalStorage };

/** For a section that the draw left out although its type asks for it. */
const MINIMAL_SOURCE: Readonly<Record<string, Draft>> = {
  postgresql: { uriSecretRef: secret('uri'), ...common, slotNamePrefix: 'powersync_' },
  mongodb: { uriSecretRef: secret('uri'), ...common, postImages: 'Disabled' },
  mysql: { uriSecretRef: secret('uri'), rejectIpRanges: [], binlogQueueMemoryLimitMegabytes: 50 },
  mssql: {
    ...{ uriSecretRef: secret('uri'), ...common, schema: 'dbo', trustServerCertificate: false },
    ...{ pollingIntervalMilliseconds: 1000, pollingBatchSize: 10 },
  },
  convex: {
    ...{ deploymentUrl: 'https://otter.convex.cloud', deployKeySecretRef: secret('key'), rejectIpRanges: [] },
    ...{ pollingIntervalMilliseconds: 1000, requestTimeoutMilliseconds: 60_000 },
  },
};

function mendSource(source: SourceSpec): SourceSpec {
  source.name = `s${source.name
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '')
    .slice(0, 12)}`;
  const draft = source as unknown as Draft;
  const types = ['postgresql', 'mongodb', 'mysql', 'mssql', 'convex'];
  only(draft, source.type, types, MINIMAL_SOURCE);
  const section = draft[source.type] as Draft;
  if (source.type === 'postgresql') mendPostgres(section);
  if (source.type === 'mongodb') mendMongodb(section);
  if (source.type === 'mysql') mendServer(section);
  if (source.type === 'mssql') mendMssql(section);
  if (source.type === 'convex') {
    section['deploymentUrl'] = 'https://otter.convex.cloud';
    mendRanges(section);
  }
  return source;
}

function mendLogin(section: Draft): void {
  if (section['username'] !== undefined) delete section['usernameSecretRef'];
}

function mendMongodb(section: Draft): void {
  mendLogin(section);
  mendRanges(section);
}

/** The pattern of the schema is wider than what is an address. */
function mendRanges(section: Draft): void {
  const ranges = section['rejectIpRanges'] as string[] | undefined;
  section['rejectIpRanges'] = (ranges ?? []).map((_, index) => ['local', '10.0.0.0/8', '2001:db8::/32'][index]);
}

/** Either a URI, or a host with database and login. */
function mendServer(section: Draft): void {
  mendLogin(section);
  mendRanges(section);
  if (section['hostname'] === undefined) {
    section['uriSecretRef'] ??= secret('uri');
    delete section['port'];
  } else {
    // The pattern takes lists and ports, which only some servers take.
    section['hostname'] = 'db.example.org';
    delete section['uriSecretRef'];
    section['database'] ??= 'app';
    section['passwordSecretRef'] ??= secret('password');
    if (section['usernameSecretRef'] === undefined) section['username'] ??= 'reader';
  }
  pair(section, 'clientCertificateSecretRef', 'clientPrivateKeySecretRef');
}

function mendPostgres(section: Draft): void {
  mendServer(section);
  if (section['sslMode'] === 'verify-ca') section['caSecretRef'] ??= secret('ca');
  if (section['sslMode'] !== 'disable') return;
  const certificates = ['caSecretRef', 'clientCertificateSecretRef', 'clientPrivateKeySecretRef', 'tlsServerName'];
  for (const name of certificates) delete section[name];
}

function mendMssql(section: Draft): void {
  mendServer(section);
  if (section['authentication'] !== undefined)
    for (const name of ['username', 'usernameSecretRef', 'passwordSecretRef']) delete section[name];
  if (section['trustServerCertificate'] !== true) return;
  delete section['caSecretRef'];
  delete section['tlsServerName'];
}

function pair(section: Draft, one: string, other: string): void {
  if (section[one] !== undefined && section[other] !== undefined) return;
  delete section[one];
  delete section[other];
}

function mendApi(api: SyncInstanceSpec['api']): void {
  const { autoscaling, ingress, podDisruptionBudget } = api;
  if (ingress) ingress.path = mendPath(ingress.path);
  if (autoscaling) {
    const { minReplicas, maxReplicas } = autoscaling;
    autoscaling.minReplicas = Math.min(minReplicas, maxReplicas);
    autoscaling.maxReplicas = Math.max(minReplicas, maxReplicas);
    autoscaling.targetConnections = Math.min(autoscaling.targetConnections, api.maxConnections);
  }
  if (podDisruptionBudget.maxUnavailable === 0) podDisruptionBudget.maxUnavailable = 1;
}

const mendPath = (path: string): string =>
  path
    .replace(/%2f/gi, '-')
    .replace(/\/\.{1,2}(?=\/|$)/g, '/-')
    .replace(/\/{2,}/g, '/');

function mendClientAuth(spec: SyncInstanceSpec, sources: readonly SourceSpec[]): void {
  const { clientAuth } = spec;
  mendRanges(clientAuth);
  clientAuth.jwksUris = clientAuth.jwksUris.map((_, index) => `https://id.example.org/${index}/keys`);
  if (!sources.some(({ type }) => type === 'postgresql')) clientAuth.supabase = false;
  const hasKeys = clientAuth.keysSecretRef ?? clientAuth.supabaseJwtSecretRef ?? clientAuth.supabase;
  if (clientAuth.jwksUris.length === 0 && hasKeys === false) clientAuth.keysSecretRef = secret('jwks');
  const bringsAudience = clientAuth.supabase || clientAuth.supabaseJwtSecretRef !== undefined;
  if (clientAuth.audience.length === 0 && !bringsAudience) clientAuth.audience = ['app'];
}

function mendPods(
  part: Pick<SyncInstanceSpec['api'], 'resources' | 'env' | 'tolerations' | 'topologySpreadConstraints'>,
): void {
  const { requests, limits } = part.resources;
  for (const name of Object.keys(requests)) delete limits[name];
  part.env = part.env.map((variable, index) => {
    const { value, valueFrom } = variable;
    const name = `MY_${index}`;
    if (valueFrom?.secretKeyRef) return { name, valueFrom: { secretKeyRef: valueFrom.secretKeyRef } };
    if (valueFrom?.configMapKeyRef) return { name, valueFrom: { configMapKeyRef: valueFrom.configMapKeyRef } };
    return { name, value: value ?? '' };
  });
  for (const constraint of part.topologySpreadConstraints ?? []) {
    delete constraint.matchLabelKeys;
    if (constraint.whenUnsatisfiable === 'ScheduleAnyway') delete constraint.minDomains;
  }
  part.tolerations = part.tolerations.map((_, index) => ({ key: `k${index}`, operator: 'Equal', value: 'v' }));
}

function mendPeer(peer: Draft): void {
  if (peer['podSelector'] !== undefined || peer['namespaceSelector'] !== undefined) delete peer['ipBlock'];
  else peer['ipBlock'] = { cidr: '10.0.0.0/8' };
}

function uniqueBy<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [keyOf(item), item])).values()];
}
