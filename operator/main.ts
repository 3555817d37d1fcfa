/** The operator: watches always, acts while it leads (O-11; docs/adr/0008-operator.md). Composed by cli/. */
import type { Clock } from '#core/platform/clock.ts';
import type { Log } from '#core/platform/log.ts';
import { createInstanceMetrics } from './instance-metrics.ts';
import type { Kube, Place } from './kube/contract.ts';
import { createEventRecorder } from './kube/event-recorder.ts';
import { isKubeError } from './kube/kube-error.ts';
import { runWhileLeader } from './kube/lease.ts';
import { keyOf, placeOfKey } from './kube/place.ts';
import { createWorkQueue, type WorkQueue } from './kube/work-queue.ts';
import { countedKube } from './counted-kube.ts';
import type { OperatorMetrics } from './metrics.ts';
import { createApplier } from './sync-instance/apply.ts';
import { createCompileCache } from './sync-instance/compile-cache.ts';
import { createDeployToWorker } from './sync-instance/deploy-request.ts';
import { createPartReports } from './sync-instance/part-reports.ts';
import { createReconciler, type Reconciler } from './sync-instance/reconcile.ts';
import { createReferencedValues } from './sync-instance/referenced-values.ts';
import { createWatches, type Watches } from './watch.ts';

export interface OperatorOptions {
  readonly kube: Kube;
  /** Null: all. */
  readonly namespaces: readonly string[] | null;
  /** Where the Lease stands; null: this is the only operator. */
  readonly lease: Place | null;
  /** Different for every process. */
  readonly identity: string;
  /** Image of the data plane where a resource names none. */
  readonly defaultImage: string;
  /** Where the operator runs; null: outside of the cluster. */
  readonly operatorNamespace: string | null;
  /** Instances that are looked at at the same time. */
  readonly concurrency: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: OperatorMetrics;
  /** Nothing but a restart helps. */
  readonly fail: (error: unknown) => void;
  /** Ports of the pods, where they are not as usual (in tests). */
  readonly ports?: { readonly status: number; readonly api: number };
}

export interface Operator {
  /** Resolves when everything there is is known; then it may lead. */
  readonly synced: Promise<void>;
  /** Ends what it is doing, gives the lease back, and resolves. */
  close(): Promise<void>;
}

/** Several changes in a row lead to one look. */
const SETTLE_MS = 30;
/** Looks are spread by so much, so that instances that began together do not stay together. */
const JITTER = 0.2;

export function startOperator(given: OperatorOptions): Operator {
  const options = { ...given, kube: countedKube(given.kube, given.metrics) };
  const { kube, namespaces, lease, identity, clock, random, log, metrics, fail } = options;
  const stop = new AbortController();
  let queue: WorkQueue | null = null;
  const wantsLook = (place: Place): void => queue?.addAfter(keyOf(place), SETTLE_MS);
  const watches = createWatches({ kube, namespaces, clock, random, log, wantsLook });

  const lead = async (signal: AbortSignal): Promise<void> => {
    // What one term remembers is nothing to the next one.
    const work = createWork(options, watches);
    const own = createWorkQueue({ ...work, clock, random, concurrency: options.concurrency });
    queue = own;
    metrics.millrace_operator_leader.set(1);
    // At once, also while something that began before still waits for an answer.
    signal.addEventListener('abort', () => metrics.millrace_operator_leader.set(0), { once: true });
    for (const place of watches.instances()) own.add(keyOf(place));
    try {
      await own.run(signal);
    } finally {
      queue = null;
      work.ended();
    }
  };

  const run = async (): Promise<void> => {
    const watching = watches.run(stop.signal);
    const aborted = new Promise((resolve) => stop.signal.addEventListener('abort', resolve, { once: true }));
    await Promise.race([watches.synced, aborted]);
    if (lease === null) await lead(stop.signal);
    else await runWhileLeader({ kube, place: lease, identity, clock, random, log }, stop.signal, lead);
    await watching;
  };
  const running = run().catch(fail);
  reportDepth(metrics, () => queue?.depth ?? 0);

  return {
    synced: watches.synced,
    async close() {
      stop.abort();
      await running;
    },
  };
}

function reportDepth(metrics: OperatorMetrics, depth: () => number): void {
  const gauge = metrics.millrace_operator_queue_length as { collect?: () => void; set(value: number): void };
  gauge.collect = () => gauge.set(depth());
}

/** What a queue does with its keys during one term. */
function createWork(options: OperatorOptions, watches: Watches) {
  const { clock, random, log, metrics } = options;
  const instanceMetrics = createInstanceMetrics(metrics);
  const reconciler = createTermReconciler(options, watches, instanceMetrics);
  return {
    async work(key: string): Promise<number | null> {
      const place = placeOfKey(key);
      const startedAt = clock.monotonic();
      try {
        const again = await reconciler.reconcile(place);
        metrics.millrace_operator_reconciles_total.inc({ outcome: 'success' });
        if (again !== null || watches.view.instance(place) !== undefined) instanceMetrics.succeeded(place, clock.now());
        return again === null ? null : again * (1 + (random() - 0.5) * JITTER);
      } catch (error) {
        metrics.millrace_operator_reconciles_total.inc({ outcome: 'failure' });
        throw error;
      } finally {
        metrics.millrace_operator_reconcile_seconds.observe((clock.monotonic() - startedAt) / 1000);
      }
    },
    onFailure(key: string, error: unknown, failures: number, waitMs: number): void {
      const fields = { instance: key, error, failures, waitMs: Math.round(waitMs) };
      // Somebody else was faster: part of normal life.
      if (isConflict(error)) log.debug(fields, 'An object has changed meanwhile; looking again');
      else log.warn(fields, 'An instance could not be brought to what its spec says; trying again');
    },
    ended: () => instanceMetrics.clear(),
  };
}

function isConflict(error: unknown): boolean {
  return isKubeError(error, 'Conflict') || isKubeError(error, 'AlreadyExists');
}

function createTermReconciler(
  options: OperatorOptions,
  watches: Watches,
  instanceMetrics: ReturnType<typeof createInstanceMetrics>,
): Reconciler {
  const { kube, clock, random, log, identity, defaultImage, operatorNamespace, ports } = options;
  const now = (): number => clock.now();
  return createReconciler({
    gathering: {
      ...{ kube, now, defaultImage, operatorNamespace },
      view: watches.view,
      values: createReferencedValues(kube),
      reports: createPartReports({ clock, ...(ports === undefined ? {} : { port: ports.status }) }),
    },
    compile: createCompileCache(),
    applier: createApplier({
      ...{ kube, now, log },
      seen: (type, object) => watches.seen(type, object),
      deployToWorker: createDeployToWorker(ports?.api),
      events: createEventRecorder({ kube, clock, random, log, instance: identity }),
    }),
    onLook: (observed, decision) => instanceMetrics.looked(observed, decision),
    onGone: (place) => instanceMetrics.gone(place),
  });
}
