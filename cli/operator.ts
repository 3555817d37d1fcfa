/** `millrace operator`: the parts of the operator's process (docs/adr/0008-operator.md). */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { KubeConfig } from '@kubernetes/client-node';
import { Registry } from 'prom-client';
import { realClock } from '#core/platform/clock.ts';
import { LOG_LEVELS, type LoggingConfig } from '#core/platform/config/service-config.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { createHealth, probeRoutes } from '#core/platform/health.ts';
import { startHttpEndpoint, type HttpEndpoint } from '#core/platform/http-endpoint.ts';
import { runLifecycle, type Part } from '#core/platform/lifecycle.ts';
import { createLogger } from '#core/platform/logging.ts';
import { collectProcessMetrics, metricsAnswer } from '#core/platform/metrics.ts';
import { createKubeClient } from '#operator/kube/client.ts';
import { createTransport, type Transport } from '#operator/kube/transport.ts';
import { startOperator, type Operator } from '#operator/main.ts';
import { createOperatorMetrics } from '#operator/metrics.ts';
import { VERSION } from './version.ts';

export interface OperatorFlags {
  /** Empty: all. */
  readonly namespace: readonly string[];
  readonly leaderElection: boolean;
  readonly leaseName: string;
  readonly leaseNamespace?: string;
  readonly metricsPort: number;
  readonly image?: string;
  readonly concurrency: number;
}

/** Where the image is published; its tag is the version of the operator. */
const PUBLISHED_IMAGE = 'ghcr.io/millrace/millrace';
const GRACE_MS = 30_000;

/** Runs until it is told to stop. */
export async function operator(flags: OperatorFlags): Promise<void> {
  const clock = realClock;
  const log = createLogger({ ...loggingOf(process.env), fields: { role: 'operator' } });
  const health = createHealth(clock);
  const isSynced = health.condition('caches');
  isSynced.set(false);
  const registry = new Registry();
  const metrics = createOperatorMetrics(registry);
  collectProcessMetrics(registry);
  const image = flags.image ?? process.env['MILLRACE_IMAGE'] ?? `${PUBLISHED_IMAGE}:${VERSION}`;
  const namespace = process.env['POD_NAMESPACE'] ?? null;
  let endpoint: HttpEndpoint | null = null;
  let running: Operator | null = null;
  log.info({ image, namespaces: flags.namespace.length === 0 ? 'all' : flags.namespace }, 'Starting');

  const metricsPart: Part = {
    name: 'metrics',
    async start() {
      const routes = { ...probeRoutes(health), '/metrics': () => metricsAnswer(registry) };
      endpoint = await startHttpEndpoint({ port: flags.metricsPort, routes });
    },
    stop: async () => endpoint?.close(),
  };
  const operatorPart: Part = {
    name: 'operator',
    async start({ fail }) {
      running = startOperator({
        kube: createKubeClient({ transport: connect(), clock, random: Math.random }),
        namespaces: flags.namespace.length === 0 ? null : flags.namespace,
        lease: flags.leaderElection
          ? { namespace: flags.leaseNamespace ?? namespace ?? 'default', name: flags.leaseName }
          : null,
        // A container that is restarted keeps its host name.
        identity: `${process.env['POD_NAME'] ?? hostname()}_${randomBytes(4).toString('hex')}`,
        ...{ defaultImage: image, operatorNamespace: namespace, concurrency: flags.concurrency },
        ...{ clock, random: Math.random, log, metrics, fail },
      });
      void running.synced.then(() => isSynced.set(true));
    },
    stop: async () => running?.close(),
  };
  process.exitCode = await runLifecycle({
    ...{ log, clock, parts: [metricsPart, operatorPart], graceMs: GRACE_MS },
    onStarted: () => health.started(),
    onStopping: () => isSynced.set(false),
  });
  health.close();
  // What a library left open must not keep a stopped process alive.
  setTimeout(() => process.exit(), 2000).unref();
}

/** The pod's own account, or KUBECONFIG. */
function connect(): Transport {
  const kubeConfig = new KubeConfig();
  try {
    kubeConfig.loadFromDefault();
    return createTransport(kubeConfig);
  } catch (cause) {
    throw codedError(
      'PSYNC_S0110',
      'There is no access to a Kubernetes API: set KUBECONFIG, or run in a pod with a service account',
      { cause },
    );
  }
}

/** The operator has no service configuration; these two come from the environment, under their documented names (O-27, O-28). */
function loggingOf({ PS_LOG_LEVEL: level, PS_LOG_FORMAT: format }: NodeJS.ProcessEnv): LoggingConfig {
  const known = LOG_LEVELS.find((name) => name === level);
  if (level !== undefined && level !== '' && known === undefined)
    throw codedError('PSYNC_S0110', `PS_LOG_LEVEL is ${level}; it must be one of ${LOG_LEVELS.join(', ')}`);
  return { level: known ?? 'info', format: format === 'text' ? 'text' : 'json' };
}
