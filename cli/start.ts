/** `millrace start`: composes the parts of one process and runs them until it is told to stop (O-1…O-4, O-11). */
import type { FastifyInstance } from 'fastify';
import { Registry } from 'prom-client';
import { startApiWorker, type ApiWorker } from '#api-worker/main.ts';
import type { BucketStorage } from '#core/bucket-storage/contract.ts';
import type { Coordination } from '#core/coordination/contract.ts';
import { createCoordination } from '#core/coordination/create-coordination.ts';
import { createRevocationList } from '#core/platform/auth/revocations.ts';
import { createTokenVerifier, type TokenVerifier } from '#core/platform/auth/token-verifier.ts';
import { realClock } from '#core/platform/clock.ts';
import { collectAtRest, thisCollector } from '#core/platform/collect-at-rest.ts';
import { tuneCollector } from '#core/platform/collector.ts';
import { loadServiceConfig, readSyncConfig, type ConfigFlags } from '#core/platform/config/load.ts';
import type { ServiceConfig } from '#core/platform/config/service-config.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { createHealth, writeProbeFiles, type ProbeFiles } from '#core/platform/health.ts';
import type { HttpEndpoint } from '#core/platform/http-endpoint.ts';
import { runLifecycle, type Part } from '#core/platform/lifecycle.ts';
import { createLogger, type Logger } from '#core/platform/logging.ts';
import { collectProcessMetrics } from '#core/platform/metrics.ts';
import type { Diagnostic } from '#core/sync-config/contract.ts';
import { createSessionResolver } from '#core/sync-config/evaluate/session-resolver.ts';
import { startReplicator, type Replicator } from '#replicator/main.ts';
import type { SourceReport } from '#replicator/report.ts';
import { adminRoutes } from './admin-routes.ts';
import { chosenSources } from './chosen-sources.ts';
import {
  compilerFor,
  deploySyncConfig,
  formatDiagnostic,
  schemaWarningsWith,
  type Deployment,
  type SchemaWarnings,
} from './deploy.ts';
import { createDiagnostics } from './diagnostics.ts';
import { addExplainRoute } from './explain-route.ts';
import { explainDependencies } from './explain/dependencies.ts';
import { sharesServer } from './instance.ts';
import { lagGauges, replicatorMetrics } from './replicator-metrics.ts';
import { addRevokeRoute } from './revoke-route.ts';
import { roleMetrics } from './role-metrics.ts';
import { startMetricsPort } from './status/metrics-port.ts';
import { createPartStatus } from './status/part-status.ts';
import { storageFiguresPart } from './storage-figures.ts';
import { storagePart } from './storage-part.ts';
import { schemaRoute } from './schema-route.ts';
import { readSourceTables, rememberSourceTables } from './source-tables.ts';
import { createValidation } from './validation.ts';
import { VERSION } from './version.ts';

export type Role = 'unified' | 'sync' | 'api';

const PROBE_FOLDER = '/tmp/millrace/probes';
/** A deployment is answered then, whether or not the sources said what tables they have. */
const WARNINGS_MS = 3000;

export interface StartOptions {
  /** Tags of the sources to replicate; empty: all. */
  readonly sources: readonly string[];
  /** Wins over `system.instance_id`. */
  readonly instance: string | undefined;
  /** Milliseconds for draining and stopping together (O-11). */
  readonly graceMs: number;
}

/**
 * Runs the parts of a role until the process is told to stop; sets its exit code. Rejects, before anything runs, with PSYNC_S0105 for sources
 * that this role does not replicate or that are not configured, and with what is wrong with the configuration.
 */
export async function start(
  role: Role,
  flags: ConfigFlags,
  { sources, instance, graceMs }: StartOptions,
): Promise<void> {
  if (role === 'api' && sources.length > 0)
    throw codedError('PSYNC_S0105', '--source is for processes that replicate, not for -r api.');
  const { config, notices, origin } = await loadServiceConfig({
    flags,
    environment: process.env,
    workingFolder: process.cwd(),
    needsSource: role !== 'api',
  });
  const log = createLogger({ ...config.logging, fields: { role } });
  for (const notice of notices) log[notice.level]({ key: notice.key }, notice.message);
  log.info({ config: origin }, 'Starting');
  tuneCollector(role === 'api' ? 'serves' : 'replicates');
  collectAtRest(thisCollector(), realClock);
  const composed = compose({ config, role, log, sources, instance: instance ?? config.instanceId });
  process.exitCode = await runLifecycle({
    parts: composed.parts,
    log,
    clock: realClock,
    graceMs,
    onStarted: () => composed.started(),
    onStopping: () => composed.stopping(),
  });
  composed.close();
  // What a library left open must not keep a stopped process alive.
  setTimeout(() => process.exit(), 2000).unref();
}

export interface ComposeOptions {
  readonly config: ServiceConfig;
  readonly role: Role;
  readonly log: Logger;
  /** Tags of the sources to replicate; absent or empty: all. */
  readonly sources?: readonly string[];
  /** Whose bucket storage has to be; undefined: nobody's. */
  readonly instance?: string | undefined;
  readonly extraRoutes?: ((server: FastifyInstance) => void) | undefined;
}

export interface Composed {
  readonly parts: readonly Part[];
  started(): void;
  stopping(): void;
  close(): void;
  /** Of this process' replicator. */
  reports(): readonly SourceReport[];
  deploy(text: string): Promise<Deployment>;
  readonly schemaWarnings: SchemaWarnings;
}

/** Everything a process of a role consists of, in the order of its start. Nothing runs yet. */
export function compose({ config, role, log, sources = [], instance, extraRoutes }: ComposeOptions): Composed {
  const clock = realClock;
  const health = createHealth(clock);
  const draining = health.condition('draining');
  const registry = new Registry();
  const metrics = roleMetrics(registry, role);
  collectProcessMetrics(registry);
  const { connections } = config.replication;
  const replicated = role === 'api' ? [] : chosenSources(connections, sources);
  const compile = compilerFor(connections);
  const sourceTables = rememberSourceTables(() => readSourceTables(connections, { log, clock }), clock);
  const schemaWarnings = schemaWarningsWith(compile, sourceTables);
  const validate = createValidation(compile, sourceTables);
  let storage: BucketStorage;
  let coordination: Coordination;
  let replicator: Replicator | null = null;
  let worker: ApiWorker | null = null;
  let isStopping = false;
  const reports = (): readonly SourceReport[] => replicator?.reports() ?? [];
  const deploy = (text: string, how: { reprocess?: boolean; retryBlocked?: boolean } = {}): Promise<Deployment> =>
    deploySyncConfig(text, { compile, storage, coordination, label: config.syncConfig?.versionLabel, ...how });

  const parts: Part[] = [
    probePart(),
    ...(config.telemetry.prometheusPort === undefined ? [] : [metricsPart(config.telemetry.prometheusPort)]),
    storagePart({ config, instance, log, clock, opened: (open) => (storage = open) }),
    {
      name: 'coordination',
      async start() {
        const redis = config.redis ? { uri: config.redis.uri, keyPrefix: config.redis.keyPrefix } : null;
        coordination = createCoordination(redis, { log, clock, random: Math.random });
      },
      stop: () => coordination.close(),
    },
  ];
  const leads = (): boolean => reports().some(({ leader }) => leader);
  if (role !== 'api') {
    parts.push(deployPart(), replicatorPart());
    parts.push(storageFiguresPart({ storage: () => storage, leads, metrics, log, clock }));
  }
  if (role !== 'sync') parts.push(apiPart());

  function probePart(): Part {
    let files: ProbeFiles | null = null;
    return {
      name: 'probes',
      async start() {
        if (config.healthcheck.probes.filesystem)
          files = writeProbeFiles(health, PROBE_FOLDER, (error) =>
            log.warn({ error }, 'Probe files cannot be written'),
          );
      },
      stop: async () => files?.close(),
    };
  }

  /** A sync config in the configuration always wins (O-119); unchanged, it changes nothing (O-128). */
  function deployPart(): Part {
    return {
      name: 'sync config',
      async start() {
        if (!config.syncConfig) return;
        try {
          const text = await readSyncConfig(config.syncConfig);
          const { version, warnings } = await deploy(text);
          const say = (found: readonly Diagnostic[]): void => {
            for (const warning of found) {
              const { code, line, column } = warning;
              log.warn({ code, line, column }, formatDiagnostic(warning));
            }
          };
          say(warnings);
          // A source that does not answer delays neither the start nor the deployment.
          void schemaWarnings(text, warnings).then(say);
          log.info({ version: version.version, state: version.state }, 'Sync config deployed');
        } catch (error) {
          if (config.syncConfig.exitOnError) throw error;
          log.error({ error }, 'The sync config was not deployed; the version before it goes on');
        }
      },
    };
  }

  function replicatorPart(): Part {
    return {
      name: 'replicator',
      async start() {
        replicator = startReplicator({
          connections: replicated,
          storage,
          coordination,
          clock,
          random: Math.random,
          log,
          metrics: replicatorMetrics(metrics, clock),
          sharesServerWithStorage: (connection) => sharesServer(connection, config.storage),
        });
      },
      stop: async () => replicator?.close(),
    };
  }

  function apiPart(): Part {
    let verifier: TokenVerifier;
    const cut = new AbortController();
    return {
      name: 'api',
      async start() {
        const revocations = createRevocationList(clock);
        verifier = await createTokenVerifier({ clientAuth: config.clientAuth, revocations, clock, log });
        worker = await startApiWorker({
          storage,
          coordination,
          config: { api: config.api, port: config.port, probes: config.healthcheck.probes.http !== 'off' },
          tokenVerifier: verifier,
          revocations,
          createResolver: createSessionResolver,
          log,
          metrics,
          health,
          clock,
          signal: cut.signal,
          extraRoutes: (server) => {
            adminRoutes(server, {
              tokens: config.api.tokens,
              fromFile: config.syncConfig !== undefined,
              configs: () => storage.configs,
              connections,
              now: () => clock.now(),
              validate,
              deploy,
              schemaWarnings,
              patience: () => new Promise((resolve) => void clock.setTimer(WARNINGS_MS, () => resolve([]))),
              diagnostics: createDiagnostics({ config, storage, reports, validate, now: () => clock.now() }),
            });
            schemaRoute(server, { tokens: config.api.tokens, connections, sourceTables });
            addRevokeRoute(server, {
              ...{ tokens: config.api.tokens, store: storage.revocations, coordination, log },
              now: () => clock.now(),
            });
            // requests are answered a moment before the worker is there
            const sessions = (userId: string, limit: number) => worker?.sessions.ofUser(userId, limit) ?? [];
            addExplainRoute(server, {
              tokens: config.api.tokens,
              dependencies: explainDependencies({ config, storage, sessions, log, clock }),
            });
            extraRoutes?.(server);
          },
        });
        log.info({ port: worker.address.port }, 'Serving clients');
      },
      drain: async (graceMs) => worker?.drain(graceMs),
      async stop() {
        await worker?.close();
        verifier.close();
      },
    };
  }

  function metricsPart(port: number): Part {
    let endpoint: HttpEndpoint;
    const lags = lagGauges(metrics, clock);
    const status = createPartStatus({
      ...{ role, version: VERSION, instance: instance ?? null, clock, health, reports },
      storage: () => storage ?? null,
      tags: replicated.map(({ tag }) => tag),
      api() {
        if (role === 'sync') return null;
        const connectionLimit = config.api.maxConcurrentConnections;
        return { connections: worker?.connections() ?? 0, connectionLimit, draining: isStopping };
      },
    });
    return {
      name: 'metrics',
      async start() {
        const probed = config.healthcheck.probes.http === 'off' ? null : health;
        endpoint = await startMetricsPort({ port, registry, refresh: () => lags(reports()), health: probed, status });
      },
      stop: () => endpoint.close(),
    };
  }

  return {
    parts,
    started: () => health.started(),
    stopping() {
      isStopping = true;
      draining.set(false);
    },
    close: () => health.close(),
    reports,
    deploy: (text) => deploy(text),
    schemaWarnings,
  };
}
