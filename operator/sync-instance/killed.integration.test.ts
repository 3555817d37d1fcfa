import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kubePrograms } from '#test/services/kube-programs.ts';
import { KubeError } from '../kube/kube-error.ts';
import { SYNC_INSTANCES } from '../kube/resource-types.ts';
import { createSecrets, instanceObject, startCluster, type Cluster } from '../testing/cluster.ts';
import { createWorld, name, versions, type World } from '../testing/world.ts';

// The API server is a real one. There is no kubelet and there are no controllers: operator/testing plays them, and the data plane.
const programs = await kubePrograms();
const missing = typeof programs === 'string' ? ` (${programs})` : '';
let cluster: Cluster;

beforeAll(async () => {
  if (missing === '') cluster = await startCluster();
});
afterAll(() => cluster?.close());

describe.skipIf(missing !== '')(`a process of the operator that is killed${missing}`, () => {
  // Costs a life of an instance for each request in it: about forty.
  test(
    'killed before or after any request, another process brings it to the same end (ADR 8)',
    { timeout: 600_000 },
    async () => {
      const life = async (cutAt: World['cutAt']): Promise<{ requests: number; end: string }> => {
        await using world = await createWorld(cluster);
        await createSecrets(cluster.kube, world.namespace);
        await cluster.kube.create(SYNC_INSTANCES, instanceObject(world.namespace, name));
        world.cutAt = cutAt;
        let stepper = world.stepper();
        const settle = async (): Promise<void> => {
          for (let kills = 0; kills < 3; kills++) {
            try {
              return await world.settle(stepper);
            } catch (error) {
              if (!(error instanceof KubeError) || !error.message.startsWith('killed')) throw error;
              stepper = world.stepper();
            }
          }
        };
        await settle();
        const { status } = await world.instance();
        const conditions = status?.conditions?.map(({ type, status, reason }) => `${type}=${status}/${reason}`);
        const running = Object.keys(await versions(cluster, world))
          .map((key) => key.replace(/(config|migrate)-.*/, '$1'))
          .toSorted();
        await cluster.kube.delete(SYNC_INSTANCES, { namespace: world.namespace, name }, { propagation: 'Background' });
        await settle();
        const left = Object.keys(await versions(cluster, world));
        return {
          requests: world.requests,
          end: JSON.stringify({ conditions, running, left, deployed: world.plane.versions.length }),
        };
      };
      const whole = await life(null);
      expect(whole.requests).toBeGreaterThan(20);
      const differing: string[] = [];
      const cuts = Array.from({ length: whole.requests }, (_, index) => ({
        request: index + 1,
        // Both, over the whole of the life: what was done and what was not yet done.
        when: index % 2 === 0 ? ('after' as const) : ('before' as const),
      }));
      const next = cuts.values();
      const lives = Array.from({ length: 4 }, async () => {
        for (const cut of next) {
          const { end } = await life(cut);
          if (end !== whole.end) differing.push(`${cut.when} ${cut.request}: ${end}`);
        }
      });
      await Promise.all(lives);
      expect(differing, whole.end).toEqual([]);
    },
  );
});
