import type {
  V1Affinity,
  V1Container,
  V1EnvVar,
  V1PodTemplateSpec,
  V1ResourceRequirements,
  V1SecurityContext,
  V1TopologySpreadConstraint,
} from '@kubernetes/client-node';
import type { PodSettings } from '#crds/sync-instance/pods.ts';
import type { DesiredInput, ValueReference } from './contract.ts';
import { filled } from './filled.ts';
import { componentLabels, selectorOf, type Component } from './labels.ts';
import { versionLabel } from './metadata.ts';
import { names } from './names.ts';
import { CONFIG_FILE, type RenderedConfig } from './service-config.ts';

/** The user of the image (images/Dockerfile). */
const USER = 65_532;
const CONTAINER = 'millrace';
const CONFIG_FOLDER = '/etc/millrace';
/** The only place that a pod writes to; nothing in it outlives the pod (O-10). */
const SCRATCH_SIZE = '64Mi';

export const HASH_OF_CONFIG = 'millrace.dev/config-hash';
export const HASH_OF_VALUES = 'millrace.dev/values-hash';

/** What tells the pods of one component from those of another. */
export interface PodPlan {
  readonly component: Component;
  readonly source?: string;
  /** Words after the name of the program; the configuration file is added. */
  readonly args: readonly string[];
  readonly config: RenderedConfig;
  readonly settings: PodSettings;
  /** Counts when the settings say nothing of resources. */
  readonly resources: V1ResourceRequirements;
  readonly terminationGracePeriodSeconds: number;
  /** Jobs do not restart a container within a pod, so that each attempt leaves its own log. */
  readonly restartPolicy?: 'Never';
  readonly container?: Pick<V1Container, 'ports' | 'lifecycle' | 'startupProbe' | 'livenessProbe' | 'readinessProbe'>;
  /** Replicas that should stand apart. */
  readonly isSpread?: boolean;
}

/**
 * A pod of the Pod Security Standard "restricted", with a read-only file system and no token for the Kubernetes API. A change of
 * the configuration, of a value that it refers to, or of a setting makes another template, and so rolls out.
 */
export function podTemplate(input: DesiredInput, plan: PodPlan): V1PodTemplateSpec {
  const { metadata, spec } = input.instance;
  const { settings, config } = plan;
  return {
    metadata: {
      labels: {
        ...settings.podLabels,
        ...componentLabels(metadata.name, plan.component, plan.source),
        ...versionLabel(input.image),
      },
      annotations: {
        ...settings.podAnnotations,
        'kubectl.kubernetes.io/default-container': CONTAINER,
        [HASH_OF_CONFIG]: config.hash,
        [HASH_OF_VALUES]: input.hashOfValues([...config.references, ...referencesOf(settings)]),
      },
    },
    spec: {
      ...filled({
        restartPolicy: plan.restartPolicy,
        imagePullSecrets: spec.image.pullSecrets,
        nodeSelector: settings.nodeSelector,
        tolerations: settings.tolerations,
        priorityClassName: settings.priorityClassName,
        affinity: affinityOf(metadata.name, plan),
        topologySpreadConstraints: spreadOf(metadata.name, plan),
      }),
      serviceAccountName: names.serviceAccount(metadata.name),
      automountServiceAccountToken: false,
      // Variables for every Service of the namespace make long environments, and nobody reads them.
      enableServiceLinks: false,
      terminationGracePeriodSeconds: plan.terminationGracePeriodSeconds,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: USER,
        runAsGroup: USER,
        fsGroup: USER,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [containerOf(input, plan)],
      volumes: [
        { name: 'config', configMap: { name: config.name } },
        { name: 'scratch', emptyDir: { sizeLimit: SCRATCH_SIZE } },
      ],
    },
  };
}

const CONTAINER_SECURITY: V1SecurityContext = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
};

function containerOf({ image, instance }: DesiredInput, plan: PodPlan): V1Container {
  const env: readonly V1EnvVar[] = plan.settings.env;
  const given = resourcesOf(plan.settings);
  return {
    name: CONTAINER,
    image,
    imagePullPolicy: instance.spec.image.pullPolicy,
    args: [...plan.args, '--config', `${CONFIG_FOLDER}/${CONFIG_FILE}`],
    env: [...plan.config.env, ...env],
    ...plan.container,
    // Requests and limits belong together: half of the user's beside half of ours could contradict each other.
    resources: Object.keys(given).length > 0 ? given : plan.resources,
    securityContext: CONTAINER_SECURITY,
    // The reason of a failed start is on standard error, and so in the status of the pod.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [
      { name: 'config', mountPath: CONFIG_FOLDER, readOnly: true },
      { name: 'scratch', mountPath: '/tmp' },
    ],
  };
}

/** Kubernetes takes whole numbers too, but its types and its own answers have text. */
function resourcesOf({ resources }: PodSettings): V1ResourceRequirements {
  const texts = (quantities: Record<string, number | string>): Record<string, string> =>
    Object.fromEntries(Object.entries(quantities).map(([name, value]) => [name, String(value)]));
  return filled({ requests: texts(resources.requests), limits: texts(resources.limits) });
}

/** Values that the user's own variables take from Secrets and ConfigMaps. */
export function referencesOf({ env }: Pick<PodSettings, 'env'>): ValueReference[] {
  return env.flatMap(({ name: variable, valueFrom }): ValueReference[] => {
    if (valueFrom?.secretKeyRef) return [{ kind: 'Secret', ...valueFrom.secretKeyRef, variable }];
    return valueFrom?.configMapKeyRef ? [{ kind: 'ConfigMap', ...valueFrom.configMapKeyRef, variable }] : [];
  });
}

/** Pods of a component apart from each other, so that one node takes only one of them with it. The user's own wins, kind by kind. */
function affinityOf(instance: string, { component, source, settings, isSpread }: PodPlan): V1Affinity | undefined {
  if (isSpread !== true) return settings.affinity;
  const labelSelector = { matchLabels: { ...selectorOf(instance, component, source) } };
  const apart = (weight: number, topologyKey: string) => ({ weight, podAffinityTerm: { labelSelector, topologyKey } });
  return {
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        apart(100, 'kubernetes.io/hostname'),
        apart(50, 'topology.kubernetes.io/zone'),
      ],
    },
    ...settings.affinity,
  };
}

/** Asked for, not demanded: one node must be able to run everything. An empty list of the user turns it off. */
function spreadOf(instance: string, plan: PodPlan): V1TopologySpreadConstraint[] | undefined {
  const { component, source, settings, isSpread } = plan;
  const labelSelector = { matchLabels: { ...selectorOf(instance, component, source) } };
  // A constraint without selector counts no pods and so does nothing.
  if (settings.topologySpreadConstraints !== undefined)
    return settings.topologySpreadConstraints.map((constraint) => ({ labelSelector, ...constraint }));
  if (isSpread !== true) return undefined;
  return ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'].map((topologyKey) => ({
    maxSkew: 1,
    topologyKey,
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector,
    // Without it the pods that a roll-out is about to end would count.
    matchLabelKeys: ['pod-template-hash'],
  }));
}
