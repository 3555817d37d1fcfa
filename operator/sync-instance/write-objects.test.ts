import { expect, test } from 'vitest';
import type { KubeObject } from '../kube/contract.ts';
import { KubeError } from '../kube/kube-error.ts';
import { POD_MONITORS, SERVICES } from '../kube/resource-types.ts';
import { desiredObjects } from './desired/desired.ts';
import { goldenInstance, inputFor } from './testing/golden-instances.ts';
import { lookAt } from './testing/played-pods.ts';
import { wanted } from './workloads.ts';
import { createObjectWriter } from './write-objects.ts';

const instance = goldenInstance('full');
const desired = desiredObjects(inputFor(instance)).map(({ object }) => wanted(object));
const [podMonitor] = desired.filter(({ type }) => type === POD_MONITORS);
const [service] = desired.filter(({ type }) => type === SERVICES);

test('a kind that the cluster lacks holds up nothing, and is asked for again after a minute', async () => {
  let now = 0;
  let isServed = false;
  const applied: string[] = [];
  const writer = createObjectWriter({
    kube: {
      get: async () => null,
      create: async () => {
        throw new Error('nothing is to be created');
      },
      async apply<T extends KubeObject>({ kind }: { kind: string }, object: T) {
        applied.push(kind);
        if (kind === 'PodMonitor' && !isServed) throw new KubeError('NotFound', '404');
        return object;
      },
    },
    ...{ seen: () => undefined, now: () => now, log: { debug() {}, info() {}, warn() {}, error() {} } },
  });
  const write = () => writer.write(lookAt(instance), { apply: [podMonitor!, service!], create: [] });
  const leftOut = { taken: [], unserved: [`PodMonitor ${podMonitor!.object.metadata.name}`] };

  expect(await write()).toEqual(leftOut);
  now = 59_999;
  expect(await write()).toEqual(leftOut);
  now = 60_000;
  expect(await write()).toEqual(leftOut);
  expect(applied).toEqual(['PodMonitor', 'Service', 'Service', 'PodMonitor', 'Service']);

  isServed = true;
  now = 120_000;
  expect(await write()).toEqual({ taken: [], unserved: [] });
});
