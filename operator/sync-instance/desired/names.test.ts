import fc from 'fast-check';
import { expect, test } from 'vitest';
import { names, shortened } from './names.ts';

/** RFC 1123, as Kubernetes asks it of names of Services and of values of labels. */
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

const label = (longest: number) =>
  fc
    .stringMatching(/^[a-z]([-a-z0-9]*[a-z0-9])?$/, { size: 'medium' })
    .map((text) => text.slice(0, longest).replace(/-+$/, ''));
/** Names that are made of each other's parts: where collisions would be. */
const nasty = fc
  .array(fc.constantFrom('api', 'replicator', 'a', 'compact', 'migrate', 'teardown', 'closed', 'metrics', 'pods'), {
    minLength: 1,
    maxLength: 5,
  })
  .map((parts) => parts.join('-'));
const instanceName = fc.oneof(nasty, label(40)).map((text) => text.slice(0, 40).replace(/-+$/, ''));
const sourceName = fc.oneof(nasty, label(20)).map((text) => text.slice(0, 20).replace(/-+$/, ''));

/** Names of the objects of one kind, each with what it is for. */
function byKind(instance: string, source: string): Record<string, string[]> {
  return {
    Deployment: [names.api(instance), names.replicator(instance, source)],
    CronJob: [names.compaction(instance)],
    Job: [names.migration(instance, '0123456789'), names.teardown(instance)],
    Service: [names.api(instance)],
    ConfigMap: [names.config(instance, '0123456789')],
    Secret: [names.adminSecret(instance)],
    ServiceAccount: [names.serviceAccount(instance)],
    NetworkPolicy: [names.api(instance), names.closedPolicy(instance), names.metricsPolicy(instance)],
    PodMonitor: [names.podMonitor(instance)],
  };
}

test('all names are DNS labels, of CronJobs with room for what Kubernetes adds', () => {
  const anyLength = fc.stringMatching(/^[a-z]([-a-z0-9]*[a-z0-9])?$/, { size: 'large' });
  fc.assert(
    fc.property(fc.oneof(instanceName, anyLength), fc.oneof(sourceName, anyLength), (instance, source) => {
      for (const all of Object.values(byKind(instance, source))) {
        for (const name of all) {
          expect(name).toMatch(DNS_LABEL);
          expect(name.length).toBeLessThanOrEqual(63);
        }
      }
      expect(names.compaction(instance).length).toBeLessThanOrEqual(52);
    }),
  );
});

test('no two objects of a kind share a name, within an instance or between two of a namespace', () => {
  fc.assert(
    fc.property(instanceName, sourceName, instanceName, sourceName, (one, sourceOfOne, other, sourceOfOther) => {
      const first = byKind(one, sourceOfOne);
      for (const all of Object.values(first)) expect(new Set(all).size).toBe(all.length);
      if (one === other) {
        if (sourceOfOne !== sourceOfOther)
          expect(names.replicator(one, sourceOfOne)).not.toBe(names.replicator(one, sourceOfOther));
        return;
      }
      for (const [kind, all] of Object.entries(byKind(other, sourceOfOther)))
        for (const name of all) expect(first[kind]).not.toContain(name);
    }),
    { numRuns: 500 },
  );
});

test('the API workers of one instance are not the replicator of another', () => {
  expect(names.api('demo-replicator')).toBe('demo-replicator-api');
  expect(names.replicator('demo', 'api')).toMatch(/^demo-replicator-api-[0-9a-f]{8}$/);
  expect(names.replicator('a', 'b-replicator-c')).not.toBe(names.replicator('a-replicator-b', 'c'));
});

test('names never move: these are in clusters', () => {
  expect(names.replicator('demo', 'default')).toBe('demo-replicator-default');
  expect(names.replicator('demo', 'api')).toBe('demo-replicator-api-a4612639');
  expect(shortened('a'.repeat(64))).toBe(`${'a'.repeat(54)}-ffe054fe`);
});
