import { describe, expect, test } from 'vitest';
import type { ResourceType } from '#operator/kube/contract.ts';
import { EVENTS, LEASES, OWNED_TYPES, POD_METRICS, PODS, SYNC_INSTANCES } from '#operator/kube/resource-types.ts';
import { findHelm, type Helm } from '#test/services/helm.ts';
import { needs } from './needs.fixture.ts';
import { find, render, type Rendered } from './rendered.fixture.ts';

const found = await findHelm();
const helm = found as Helm;

needs(found);

type Rule = { apiGroups: string[]; resources: string[]; verbs: string[]; resourceNames?: string[] };

/** `group/resource verb` for each thing that rules allow. */
function granted(rules: readonly Rule[]): string[] {
  return rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => `${group}/${resource} ${verb}`))),
  );
}

function uses({ apiVersion, plural }: ResourceType, verbs: readonly string[], subresource = ''): string[] {
  const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : '';
  return verbs.map((verb) => `${group}/${plural}${subresource} ${verb}`);
}

/**
 * What operator/ does: `apply` is a patch, and a creation where the object is not there yet; `replace` is an update. What it owns
 * it handles by one code for all kinds (watch.ts, sync-instance/apply.ts).
 */
const used = [
  ...OWNED_TYPES.flatMap((type) => uses(type, ['get', 'list', 'watch', 'create', 'patch', 'delete'])),
  // Its finalizer goes on by apply and off by patch; SyncInstances are neither made nor deleted.
  ...uses(SYNC_INSTANCES, ['get', 'list', 'watch', 'patch']),
  ...uses(SYNC_INSTANCES, ['patch'], '/status'),
  // No request: what an admission plugin asks of those who set blockOwnerDeletion.
  ...uses(SYNC_INSTANCES, ['update'], '/finalizers'),
  ...uses(PODS, ['list', 'watch']),
  ...uses(POD_METRICS, ['list']),
  ...uses(EVENTS, ['create', 'patch']),
];

describe('roles of the operator', () => {
  test.each<[string, object, string]>([
    ['the cluster', {}, 'ClusterRole'],
    ['a namespace', { watchNamespaces: ['apps'] }, 'Role'],
  ])('in %s allow exactly what it does, without wildcards', async (_, values, kind) => {
    const { rules } = find(await render(helm, values), kind, 'demo-millrace-operator') as Rendered & { rules: Rule[] };
    expect(granted(rules).toSorted()).toEqual(used.toSorted());
    expect(JSON.stringify(rules)).not.toContain('*');
  });

  test('allow its Lease and no other', async () => {
    const role = find(await render(helm), 'Role', 'demo-millrace-operator-leader-election');
    const rules = role['rules'] as Rule[];
    expect(granted(rules).toSorted()).toEqual(uses(LEASES, ['create', 'get', 'update']));
    // A creation has no name that could be compared.
    const others = rules.filter(({ resourceNames }) => resourceNames === undefined);
    expect(granted(others)).toEqual(uses(LEASES, ['create']));
  });
});
