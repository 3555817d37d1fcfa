import { type Static, Type } from 'typebox';
import { annotations, configMapKeyRef, labels, matchLabels, objectName, secretKeyRef } from './metadata-names.ts';
import { Affinity, Toleration, TopologySpreadConstraint } from './scheduling.ts';
import { intOrString, list, listByKey, map, rule, section, text } from './schema-parts.ts';

/**
 * What may be said about the pods of each part. It is a list of what is allowed: everything else of a pod (users,
 * privileges, volumes, commands) is the operator's, which keeps them to the restricted Pod Security Standard.
 */

/** Kubernetes' own form of quantities (resource.Quantity). */
const quantityPattern =
  '^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$';

const Quantity = intOrString('A quantity, such as `500m` or `1Gi`.', {
  pattern: quantityPattern,
  maxLength: 32,
  rules: [
    // The pattern has its own answer to what is no quantity.
    rule(
      '!isQuantity(string(self)) || !quantity(string(self)).isLessThan(quantity("0"))',
      'A quantity must not be negative.',
    ),
  ],
});

const quantities = (description: string) =>
  map(description, Quantity, {
    maxProperties: 3,
    default: {},
    rules: [
      rule(
        "self.all(name, name in ['cpu', 'memory', 'ephemeral-storage'])",
        'Resources are cpu, memory and ephemeral-storage: no part of the engine uses others.',
      ),
    ],
  });

const Resources = section(
  'CPU and memory of the container. The heap gets 80 % of the memory limit.',
  {
    requests: quantities('What is kept free for it.'),
    limits: quantities('What it gets at most.'),
  },
  {
    // In full: the API server checks a default by its rules before it puts in the defaults within.
    default: { requests: {}, limits: {} },
    rules: [
      rule(
        'self.requests.all(name, !(name in self.limits) || !isQuantity(string(self.requests[name])) || !isQuantity(string(self.limits[name])) || quantity(string(self.requests[name])).compareTo(quantity(string(self.limits[name]))) <= 0)',
        'A request must not exceed the limit of the same name.',
      ),
    ],
  },
);

const EnvironmentVariable = section(
  'An environment variable of the container.',
  {
    name: text('Name of the variable.', {
      maxLength: 128,
      pattern: '^[A-Za-z_][A-Za-z0-9_]*$',
      rules: [
        rule(
          "!self.startsWith('PS_') && !self.startsWith('POWERSYNC_') && !self.startsWith('NODE_OPTIONS') && self != 'NODE_ENV'",
          'Variables beginning with PS_ or POWERSYNC_, NODE_OPTIONS and NODE_ENV are set by the operator: use the fields of the SyncInstance.',
        ),
      ],
    }),
    value: Type.Optional(text('Its value.', { minLength: 0, maxLength: 8192 })),
    valueFrom: Type.Optional(
      section(
        'Where its value comes from.',
        {
          secretKeyRef: Type.Optional(secretKeyRef('A value in a Secret.')),
          configMapKeyRef: Type.Optional(configMapKeyRef('A value in a ConfigMap.')),
        },
        {
          rules: [
            rule('has(self.secretKeyRef) != has(self.configMapKeyRef)', 'Give either secretKeyRef or configMapKeyRef.'),
          ],
        },
      ),
    ),
  },
  { rules: [rule('!(has(self.value) && has(self.valueFrom))', 'Give either value or valueFrom, not both.')] },
);

/** The same for every part: API workers, replicators of each source, compaction. */
export const podSettings = {
  resources: Resources,
  nodeSelector: matchLabels('Labels that nodes must have.', { default: {} }),
  tolerations: list('Taints that the pods tolerate.', Toleration, { maxItems: 20, default: [] }),
  affinity: Type.Optional(Affinity),
  topologySpreadConstraints: Type.Optional(
    listByKey(
      'How the pods are spread. Without it evenly over nodes and zones where possible; an empty list: not at all.',
      TopologySpreadConstraint,
      { key: ['topologyKey', 'whenUnsatisfiable'], maxItems: 10 },
    ),
  ),
  priorityClassName: Type.Optional(objectName('Priority class of the pods.')),
  podLabels: labels('Further labels of the pods.'),
  podAnnotations: annotations('Further annotations of the pods.'),
  env: listByKey('Further environment variables of the container.', EnvironmentVariable, {
    key: 'name',
    maxItems: 50,
    default: [],
  }),
};

const PodSettings = Type.Object(podSettings);

export type PodSettings = Static<typeof PodSettings>;
