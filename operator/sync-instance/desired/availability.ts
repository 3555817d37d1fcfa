import type { V1PodDisruptionBudget } from '@kubernetes/client-node';
import type { DesiredInput, KubeObject } from './contract.ts';
import { replicatorCount } from './deployments.ts';
import { componentLabels, instanceLabels, LABEL_INSTANCE, LABEL_SOURCE, selectorOf, type Component } from './labels.ts';
import { metadataOf } from './metadata.ts';
import { names } from './names.ts';
import { METRICS_PORT } from './ports.ts';

/**
 * How many pods may be away on purpose (O-228). A replicator without standby has no budget: it would hold up every node that is
 * drained.
 */
export function disruptionBudgets({ instance }: DesiredInput): KubeObject<V1PodDisruptionBudget>[] {
  const { name } = instance.metadata;
  const { api, sources } = instance.spec;
  const budget = (of: string, component: Component, maxUnavailable: number | string, source?: string) => ({
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadataOf(instance, of, componentLabels(name, component, source)),
    spec: {
      maxUnavailable,
      selector: { matchLabels: { ...selectorOf(name, component, source) } },
      // Pods that do not work anyway must not keep a node from being drained.
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  });
  return [
    budget(names.api(name), 'api', api.podDisruptionBudget.maxUnavailable),
    ...sources
      .filter((source) => replicatorCount(instance, source) > 1)
      .map((source) => budget(names.replicator(name, source.name), 'replicator', 1, source.name)),
  ];
}

/** For the Prometheus operator, whose API a cluster may not have: apply it only where it is served. */
export function podMonitor({ instance }: DesiredInput): KubeObject[] {
  const { name } = instance.metadata;
  const { enabled, labels, intervalSeconds } = instance.spec.telemetry.podMonitor;
  if (!enabled) return [];
  return [
    {
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'PodMonitor',
      metadata: metadataOf(instance, names.podMonitor(name), instanceLabels(name), { labels }),
      spec: {
        selector: { matchLabels: { [LABEL_INSTANCE]: instanceLabels(name)[LABEL_INSTANCE] } },
        podTargetLabels: [LABEL_INSTANCE, LABEL_SOURCE, 'app.kubernetes.io/component'],
        podMetricsEndpoints: [
          {
            port: METRICS_PORT.name,
            path: '/metrics',
            interval: `${intervalSeconds}s`,
            // As in the operator's own metrics; pods are told apart by `pod`. Alerts and dashboards rely on it.
            relabelings: [
              { sourceLabels: ['__meta_kubernetes_pod_label_millrace_dev_instance'], targetLabel: 'instance' },
            ],
          },
        ],
      },
    } as KubeObject,
  ];
}
