import type {
  V1HTTPIngressPath,
  V1Ingress,
  V1NetworkPolicyPeer,
  V1NetworkPolicyPort,
  V1NetworkPolicySpec,
  V1Service,
} from '@kubernetes/client-node';
import type { DesiredInput, KubeObject } from './contract.ts';
import { filled } from './filled.ts';
import { componentLabels, instanceLabels, instanceSelector, selectorOf } from './labels.ts';
import { metadataOf } from './metadata.ts';
import { names } from './names.ts';
import { HTTP_PORT, METRICS_PORT } from './ports.ts';

/** In front of the API workers. Metrics have none: they belong to a pod, and scrapers and the operator find pods. */
export function apiService({ instance }: DesiredInput): KubeObject<V1Service> {
  const { name } = instance.metadata;
  const { type, port, labels, annotations } = instance.spec.api.service;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadataOf(instance, names.api(name), componentLabels(name, 'api'), { labels, annotations }),
    spec: {
      type,
      selector: { ...selectorOf(name, 'api') },
      ports: [{ name: HTTP_PORT.name, port, targetPort: HTTP_PORT.name, protocol: 'TCP', appProtocol: 'http' }],
    },
  };
}

/** O-233, O-234: what the NGINX controller must know of streams; others ignore it. The user's annotations win. */
const STREAMS_BEHIND_NGINX = {
  'nginx.ingress.kubernetes.io/proxy-buffering': 'off',
  'nginx.ingress.kubernetes.io/proxy-read-timeout': '3600',
  'nginx.ingress.kubernetes.io/proxy-send-timeout': '3600',
};

export function ingress({ instance }: DesiredInput): KubeObject<V1Ingress>[] {
  const { name } = instance.metadata;
  const given = instance.spec.api.ingress;
  if (given === undefined) return [];
  const path: V1HTTPIngressPath = {
    path: given.path,
    pathType: 'Prefix',
    backend: { service: { name: names.api(name), port: { name: HTTP_PORT.name } } },
  };
  const annotations = { ...STREAMS_BEHIND_NGINX, ...given.annotations };
  return [
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: metadataOf(instance, names.api(name), componentLabels(name, 'api'), { annotations }),
      spec: {
        ...filled({ ingressClassName: given.className }),
        ...(given.tlsSecretName === undefined
          ? {}
          : { tls: [{ hosts: [given.host], secretName: given.tlsSecretName }] }),
        rules: [{ host: given.host, http: { paths: [path] } }],
      },
    },
  ];
}

/** Kind of the Gateway API, which a cluster may not have: apply it only where its API is served. */
export function httpRoute({ instance }: DesiredInput): KubeObject[] {
  const { name } = instance.metadata;
  const { httpRoute: given, service } = instance.spec.api;
  if (given === undefined) return [];
  return [
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: metadataOf(instance, names.api(name), componentLabels(name, 'api')),
      spec: {
        parentRefs: given.parentRefs,
        ...filled({ hostnames: given.hostnames }),
        rules: [
          {
            matches: [{ path: { type: 'PathPrefix', value: '/' } }],
            backendRefs: [{ name: names.api(name), port: service.port }],
            // Streams stay open for hours; gateways otherwise end them after seconds (O-234). Zero: no limit.
            timeouts: { request: '0s' },
          },
        ],
      },
    } as KubeObject,
  ];
}

/** The wire's form: the class of the client library calls the field `_from`. */
interface IngressRule {
  readonly from?: readonly V1NetworkPolicyPeer[];
  readonly ports: readonly V1NetworkPolicyPort[];
}

interface NetworkPolicy {
  readonly spec: Omit<V1NetworkPolicySpec, 'ingress'> & { readonly ingress?: readonly IngressRule[] };
}

/**
 * Who may connect to the pods (O-237, O-238): nobody, then clients to API workers, then the operator and scrapers to metrics and
 * status. The kubelet's probes always pass.
 *
 * What pods may connect to is left open: sources, storage, Redis and key sets are anywhere, mostly outside of the cluster and known
 * by name only, which a NetworkPolicy cannot express. A policy of one's own that selects the same pods closes more.
 */
export function networkPolicies(input: DesiredInput): KubeObject<NetworkPolicy>[] {
  const { instance, operatorNamespace } = input;
  const { name } = instance.metadata;
  const { enabled, apiFrom, metricsFrom } = instance.spec.networkPolicy;
  if (!enabled) return [];
  const operator: V1NetworkPolicyPeer[] =
    operatorNamespace === null
      ? []
      : [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': operatorNamespace } } }];
  const everybodyInTheCluster: V1NetworkPolicyPeer[] = [{ namespaceSelector: {} }];
  const allPods = instanceSelector(name);
  const policy = (policyName: string, pods: Readonly<Record<string, string>>, rules: IngressRule[]) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadataOf(instance, policyName, instanceLabels(name)),
    // No rule at all is how Kubernetes keeps an empty list.
    spec: { podSelector: { matchLabels: { ...pods } }, policyTypes: ['Ingress'], ...filled({ ingress: rules }) },
  });
  const to = (port: string): V1NetworkPolicyPort[] => [{ port, protocol: 'TCP' }];
  // The operator deploys sync configs through the API.
  const clients = apiFrom.length === 0 ? {} : { from: [...apiFrom, ...operator] };
  const readers = metricsFrom.length === 0 ? everybodyInTheCluster : [...metricsFrom, ...operator];
  return [
    policy(names.closedPolicy(name), allPods, []),
    policy(names.api(name), selectorOf(name, 'api'), [{ ...clients, ports: to(HTTP_PORT.name) }]),
    policy(names.metricsPolicy(name), allPods, [{ from: readers, ports: to(METRICS_PORT.name) }]),
  ];
}
