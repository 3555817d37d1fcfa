import fc from 'fast-check';
import { expect, test } from 'vitest';
import { syncConfigRevision } from '#core/platform/status/revision.ts';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import { DEPLOYMENTS, JOBS } from '../kube/resource-types.ts';
import { createCompileCache } from './compile-cache.ts';
import { conditionOf } from './conditions.ts';
import { decide } from './decide.ts';
import type { Decision } from './decision.ts';
import { NO_MEMORY, type LiveDeployment, type LiveJob, type Memory, type Observed } from './observed.ts';
import { resolveImage } from './policy/image.ts';
import { randomInstance } from './testing/random-instances.ts';
import { simulateCluster, type SimulatedCluster } from './testing/simulated-cluster.ts';
import { imageOf } from './workloads.ts';

const SYNC_CONFIG = `config:\n  edition: 3\nstreams:\n  lists:\n    auto_subscribe: true\n    query: SELECT * FROM lists\n`;
const CHANGED = `${SYNC_CONFIG}  todos:\n    auto_subscribe: true\n    query: SELECT * FROM todos\n`;

/** Made here, not within a test: it takes seconds on a busy machine. */
const anyInstance = randomInstance().map((instance) => withSyncConfig(instance, SYNC_CONFIG));
const compile = createCompileCache();

/** Many take long, and show nothing else. */
const MOST_WORKERS = 5;

/** One that is approved and can become ready. */
function withSyncConfig(instance: SyncInstance, inline: string): SyncInstance {
  const { spec } = instance;
  const { configMapRef: _, ...syncConfig } = spec.syncConfig;
  const few = (count: number): number => Math.min(MOST_WORKERS, Math.max(1, count));
  const { autoscaling } = spec.api;
  const bounds = autoscaling && {
    minReplicas: few(autoscaling.minReplicas),
    maxReplicas: few(autoscaling.maxReplicas),
  };
  const api = {
    ...{ ...spec.api, replicas: few(spec.api.replicas) },
    ...(autoscaling === undefined ? {} : { autoscaling: { ...autoscaling, ...bounds } }),
  };
  const approvedRevision = syncConfigRevision(inline);
  const next = { ...spec, paused: false, api, syncConfig: { ...syncConfig, inline, approvedRevision } };
  return { ...instance, spec: next };
}

/** A new image and another sync config at once. */
function changed(instance: SyncInstance): SyncInstance {
  const { digest: _, ...image } = instance.spec.image;
  const { metadata, spec } = withSyncConfig(instance, CHANGED);
  const generation = metadata.generation + 1;
  return { ...instance, metadata: { ...metadata, generation }, spec: { ...spec, image: { ...image, tag: 'next' } } };
}

interface Plan {
  /** What happens one after the other: 0 is a look; another number is one of what is possible. */
  readonly order: readonly number[];
  /** Steps after which the operator is restarted, and after which the spec changes. */
  readonly forgetsAfter: number | null;
  readonly changesAfter: number | null;
}

interface Run {
  look(): readonly string[];
  forget(): void;
}

function start(cluster: SimulatedCluster): Run {
  let memory: Memory = NO_MEMORY;
  return {
    look() {
      const observed = cluster.observe(memory);
      const decision = decide(observed, compile);
      keepsOrder(observed, decision);
      const done = cluster.carryOut(observed, decision);
      ({ memory } = done);
      return done.writes;
    },
    forget: () => void (memory = NO_MEMORY),
  };
}

/** Pods of an image only after a migration of that image (SPEC.md, invariant 5). */
function keepsOrder({ instance, owned, defaultImage }: Observed, { apply }: Decision): void {
  const image = resolveImage(instance.spec.image, defaultImage);
  const isMigrated = owned.some(
    ({ type, object }) =>
      type === JOBS &&
      imageOf(object as LiveDeployment) === image &&
      (object as LiveJob).status?.conditions?.some(({ type }) => type === 'Complete') === true,
  );
  if (apply.some(({ type }) => type === DEPLOYMENTS)) expect(isMigrated).toBe(true);
}

/** Everything that can happen happens, and is looked at, until nothing does and nothing is written. */
function settle(cluster: SimulatedCluster, run: Run): void {
  let quiet = 0;
  let last: readonly string[] = [];
  for (let round = 0; round < 300; round++) {
    const events = cluster.possible();
    for (const happen of events) happen();
    // Longer than every delay, so that none is waited for in vain.
    cluster.now += 4_000_000;
    last = run.look();
    quiet = events.length === 0 && last.length === 0 ? quiet + 1 : 0;
    if (quiet === 3) return;
  }
  throw new Error(`does not settle; the last writes: ${last.join(', ')}`);
}

const anyPlan: fc.Arbitrary<Plan> = fc.record({
  order: fc.array(fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat(1000) }), {
    maxLength: 80,
    size: 'max',
  }),
  forgetsAfter: fc.option(fc.nat(80)),
  changesAfter: fc.option(fc.nat(80)),
});
const anyWorld = fc.record({ jobFailures: fc.nat(3), refusals: fc.nat(2), clients: fc.nat(2000) });

function play(cluster: SimulatedCluster, run: Run, { order, forgetsAfter, changesAfter }: Plan): void {
  for (const [step, choice] of order.entries()) {
    const events = cluster.possible();
    if (choice === 0 || events.length === 0) {
      cluster.now += 5000;
      run.look();
    } else events[choice % events.length]!();
    if (step === forgetsAfter) run.forget();
    if (step === changesAfter) cluster.instance = changed(cluster.instance);
  }
}

/** All that is desired is there and runs. */
function expectRest(cluster: SimulatedCluster): void {
  const { status, metadata, spec } = cluster.instance;
  expect(conditionOf(status?.conditions, 'Ready')).toMatchObject({ status: 'True', reason: 'Serving' });
  expect(conditionOf(status?.conditions, 'Progressing')).toMatchObject({ status: 'False', reason: 'Complete' });
  expect(conditionOf(status?.conditions, 'SyncConfigDeployed')).toMatchObject({ status: 'True' });
  for (const { observedGeneration } of status!.conditions!) expect(observedGeneration).toBe(metadata.generation);
  expect(status?.syncConfig?.active?.revision).toBe(syncConfigRevision(spec.syncConfig.inline!));
  const images = cluster.owned.filter(({ type }) => type === DEPLOYMENTS).map(({ object }) => imageOf(object as never));
  expect(new Set(images)).toEqual(new Set([resolveImage(spec.image, 'registry.example.com/millrace:1')]));
  expect(images).toHaveLength(spec.sources.length + 1);
}

test('whatever becomes ready in which order, looks lead to a rest in which nothing is written and the instance is Ready; so does a restart', () => {
  fc.assert(
    fc.property(anyInstance, anyWorld, anyPlan, (instance, world, plan) => {
      const cluster = simulateCluster({ instance, ...world });
      const run = start(cluster);
      play(cluster, run, plan);
      settle(cluster, run);
      expectRest(cluster);
    }),
    { numRuns: 25 },
  );
}, 60_000);

test('at rest, a new process of the operator writes nothing', () => {
  fc.assert(
    fc.property(anyInstance, anyWorld, (instance, world) => {
      const cluster = simulateCluster({ instance, ...world });
      settle(cluster, start(cluster));
      const next = start(cluster);
      for (let look = 0; look < 3; look++) {
        cluster.now += 5000;
        expect(next.look()).toEqual([]);
      }
    }),
    { numRuns: 10 },
  );
});
