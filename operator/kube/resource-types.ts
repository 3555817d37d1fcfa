import type { Place, ResourceType } from './contract.ts';

const namespaced = (apiVersion: string, kind: string, plural: string): ResourceType => ({
  apiVersion,
  kind,
  plural,
  namespaced: true,
});

/** Every kind that the operator touches. */
export const SYNC_INSTANCES = namespaced('millrace.dev/v1alpha1', 'SyncInstance', 'syncinstances');
export const DEPLOYMENTS = namespaced('apps/v1', 'Deployment', 'deployments');
export const JOBS = namespaced('batch/v1', 'Job', 'jobs');
export const CRON_JOBS = namespaced('batch/v1', 'CronJob', 'cronjobs');
export const PODS = namespaced('v1', 'Pod', 'pods');
export const SERVICES = namespaced('v1', 'Service', 'services');
export const SECRETS = namespaced('v1', 'Secret', 'secrets');
export const CONFIG_MAPS = namespaced('v1', 'ConfigMap', 'configmaps');
export const SERVICE_ACCOUNTS = namespaced('v1', 'ServiceAccount', 'serviceaccounts');
export const POD_DISRUPTION_BUDGETS = namespaced('policy/v1', 'PodDisruptionBudget', 'poddisruptionbudgets');
export const NETWORK_POLICIES = namespaced('networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies');
export const INGRESSES = namespaced('networking.k8s.io/v1', 'Ingress', 'ingresses');
export const HTTP_ROUTES = namespaced('gateway.networking.k8s.io/v1', 'HTTPRoute', 'httproutes');
export const POD_MONITORS = namespaced('monitoring.coreos.com/v1', 'PodMonitor', 'podmonitors');
export const LEASES = namespaced('coordination.k8s.io/v1', 'Lease', 'leases');
export const EVENTS = namespaced('events.k8s.io/v1', 'Event', 'events');
export const POD_METRICS = namespaced('metrics.k8s.io/v1beta1', 'PodMetrics', 'pods');

/** Kinds of objects that an instance may own, in the order in which they are looked for. */
export const OWNED_TYPES: readonly ResourceType[] = [
  ...[SERVICE_ACCOUNTS, CONFIG_MAPS, SECRETS, JOBS, DEPLOYMENTS, CRON_JOBS, SERVICES, POD_DISRUPTION_BUDGETS],
  ...[NETWORK_POLICIES, INGRESSES, HTTP_ROUTES, POD_MONITORS],
];

/** Kinds that a cluster may lack. */
export const OPTIONAL_TYPES: ReadonlySet<ResourceType> = new Set([HTTP_ROUTES, POD_MONITORS, POD_METRICS]);

/** The path of all objects of a kind; `namespace` null means all namespaces. */
export function collectionPath(type: ResourceType, namespace: string | null): string {
  const root = type.apiVersion.includes('/') ? `/apis/${type.apiVersion}` : `/api/${type.apiVersion}`;
  const within = type.namespaced && namespace !== null ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${root}${within}/${type.plural}`;
}

/** The path of one object. */
export function objectPath(type: ResourceType, place: Place, subresource?: string): string {
  const path = `${collectionPath(type, place.namespace)}/${encodeURIComponent(place.name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}
