import type { V1Deployment, V1Job, V1PodSpec } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { configMapsInUse, type Workloads } from './config-maps-in-use.ts';

const mounting = (name: string): V1PodSpec => ({
  containers: [],
  volumes: [
    { name: 'config', configMap: { name } },
    { name: 'scratch', emptyDir: {} },
  ],
});

function deployment(name: string, status: V1Deployment['status']): V1Deployment {
  const spec = { replicas: 2, selector: {}, template: { spec: mounting(name) } };
  return { metadata: { generation: 5 }, spec, ...(status ? { status } : {}) };
}

function job(name: string, condition?: 'Complete' | 'Failed'): V1Job {
  const conditions = condition ? [{ type: condition, status: 'True' }] : [];
  return { spec: { template: { spec: mounting(name) } }, status: { conditions } };
}

const none: Workloads = { deployments: [], cronJobs: [], jobs: [], pods: [] };
const rolledOut = { observedGeneration: 5, replicas: 2, updatedReplicas: 2 };

test('what Deployments, CronJobs, running Jobs and pods mount stays', () => {
  const inUse = configMapsInUse({
    deployments: [deployment('of-deployment', rolledOut)],
    cronJobs: [{ spec: { schedule: '', jobTemplate: { spec: { template: { spec: mounting('of-cron-job') } } } } }],
    jobs: [job('of-running'), job('of-done', 'Complete'), job('of-failed', 'Failed')],
    pods: [{ spec: mounting('of-pod-that-ends') }],
  });
  expect(inUse).toEqual(new Set(['of-deployment', 'of-cron-job', 'of-running', 'of-pod-that-ends']));
});

test.each([
  ['the controller has not seen the template', { ...rolledOut, observedGeneration: 4 }],
  ['pods are still of the old template', { ...rolledOut, updatedReplicas: 1 }],
  ['an old pod is left beside the new ones', { ...rolledOut, replicas: 3 }],
  ['it says nothing yet', undefined],
])('nothing goes while a Deployment rolls out: %s', (_when, status) => {
  expect(configMapsInUse({ ...none, deployments: [deployment('new', status)] })).toBeNull();
});

test('without workloads nothing is in use', () => {
  expect(configMapsInUse(none)).toEqual(new Set());
});
