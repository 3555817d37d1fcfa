import { type TProperties, Type } from 'typebox';
import { labelKey, labelValue, matchLabels, namespaceName } from './metadata-names.ts';
import { choice, count, list, rule, section, set } from './schema-parts.ts';

/** Where pods run: the fields of Kubernetes' own API, with its names, so that a manifest can be copied over. */

const requirementRules = [
  rule(
    "self.operator in ['Exists', 'DoesNotExist'] ? self.values.size() == 0 : self.values.size() > 0",
    'Operators Exists and DoesNotExist take no values, all others need some.',
  ),
];
const numberRule = rule(
  "!(self.operator in ['Gt', 'Lt']) || (self.values.size() == 1 && self.values[0].matches('^-?[0-9]{1,18}$'))",
  'Operators Gt and Lt need one whole number as value.',
);

const requirement = <const Operator extends string>(operators: readonly Operator[], rules = requirementRules) =>
  section(
    'One requirement.',
    {
      key: labelKey('Key of the label.'),
      operator: choice('How key and values relate.', operators),
      values: list('The values.', labelValue('A value.'), { maxItems: 50, default: [] }),
    },
    { rules },
  );

const LabelRequirement = requirement(['In', 'NotIn', 'Exists', 'DoesNotExist']);
const NodeRequirement = requirement(
  ['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'],
  [...requirementRules, numberRule],
);

export const labelSelector = (description: string) =>
  section(description, {
    matchLabels: Type.Optional(matchLabels('Labels with these values.')),
    matchExpressions: Type.Optional(list('Requirements, all of which hold.', LabelRequirement, { maxItems: 20 })),
  });

const NodeSelectorTerm = section('Requirements, all of which hold.', {
  matchExpressions: list('Requirements on labels of the node.', NodeRequirement, { minItems: 1, maxItems: 20 }),
});

const PodAffinityTerm = section('Pods that are meant, and what counts as the same place.', {
  labelSelector: Type.Optional(labelSelector('Pods that are meant.')),
  namespaceSelector: Type.Optional(labelSelector('Namespaces of these pods.')),
  namespaces: Type.Optional(list('Names of their namespaces.', namespaceName('A namespace.'), { maxItems: 20 })),
  topologyKey: labelKey('Label of nodes that says what counts as the same place.'),
});

const weighted = <Fields extends TProperties>(fields: Fields) =>
  section('A wish and its weight.', {
    weight: count('Weight, 1 to 100.', { minimum: 1, maximum: 100 }),
    ...fields,
  });

const podAffinity = (description: string) =>
  section(description, {
    requiredDuringSchedulingIgnoredDuringExecution: Type.Optional(
      list('What must hold.', PodAffinityTerm, { maxItems: 10 }),
    ),
    preferredDuringSchedulingIgnoredDuringExecution: Type.Optional(
      list('What is wished for.', weighted({ podAffinityTerm: PodAffinityTerm }), { maxItems: 10 }),
    ),
  });

export const Affinity = section('Affinity of the pods, as in a pod.', {
  nodeAffinity: Type.Optional(
    section('Which nodes.', {
      requiredDuringSchedulingIgnoredDuringExecution: Type.Optional(
        section('What must hold.', {
          nodeSelectorTerms: list('Terms, one of which holds.', NodeSelectorTerm, { minItems: 1, maxItems: 10 }),
        }),
      ),
      preferredDuringSchedulingIgnoredDuringExecution: Type.Optional(
        list('What is wished for.', weighted({ preference: NodeSelectorTerm }), { maxItems: 10 }),
      ),
    }),
  ),
  podAffinity: Type.Optional(podAffinity('Near which pods.')),
  podAntiAffinity: Type.Optional(podAffinity('Away from which pods.')),
});

export const Toleration = section(
  'A taint that is tolerated.',
  {
    key: Type.Optional(labelKey('Key of the taint. Without it all keys, with operator Exists.')),
    operator: choice('How key and value relate.', ['Exists', 'Equal'], { default: 'Equal' }),
    value: Type.Optional(labelValue('Value of the taint, with operator Equal.')),
    effect: Type.Optional(
      choice('Effect of the taint. Without it all effects.', ['NoSchedule', 'PreferNoSchedule', 'NoExecute']),
    ),
    tolerationSeconds: Type.Optional(
      Type.Integer({ description: 'Seconds for which NoExecute is tolerated. Without it for ever.', format: 'int64' }),
    ),
  },
  {
    rules: [
      rule(
        "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        'tolerationSeconds needs the effect NoExecute.',
      ),
      rule("has(self.key) || self.operator == 'Exists'", 'A toleration without key needs operator Exists.'),
      rule(
        "!has(self.value) || self.value == '' || self.operator == 'Equal'",
        'A toleration with operator Exists takes no value.',
      ),
    ],
  },
);

export const TopologySpreadConstraint = section(
  'How evenly pods are spread.',
  {
    maxSkew: count('Largest difference in pods between two places.', { minimum: 1, maximum: 1000 }),
    topologyKey: labelKey('Label of nodes that says what counts as the same place.'),
    whenUnsatisfiable: choice('What to do with a pod that would break it.', ['DoNotSchedule', 'ScheduleAnyway']),
    labelSelector: Type.Optional(labelSelector('Pods that are counted. Default: the pods of this part.')),
    minDomains: Type.Optional(count('Places that there must be at least.', { minimum: 1, maximum: 1000 })),
    nodeAffinityPolicy: Type.Optional(choice('Whether node affinity counts.', ['Honor', 'Ignore'])),
    nodeTaintsPolicy: Type.Optional(choice('Whether taints of nodes count.', ['Honor', 'Ignore'])),
    matchLabelKeys: Type.Optional(
      set('Labels whose values the counted pods must share, `pod-template-hash` say.', labelKey('Key of a label.'), {
        maxItems: 5,
      }),
    ),
  },
  {
    rules: [
      rule(
        "!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'",
        'minDomains needs whenUnsatisfiable DoNotSchedule.',
      ),
      rule(
        "!has(self.matchLabelKeys) || (!has(self.labelSelector) && self.matchLabelKeys.all(key, !key.startsWith('app.kubernetes.io/') && !key.startsWith('millrace.dev/')))",
        'matchLabelKeys narrows down the pods of this part: remove labelSelector, and keys of app.kubernetes.io and millrace.dev.',
      ),
    ],
  },
);
