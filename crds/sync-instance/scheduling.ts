import { type TProperties, Type } from 'typebox';
import { choice, count, list, map, rule, section, text } from './schema-parts.ts';

/** Where pods run: the fields of Kubernetes' own API, with its names, so that a manifest can be copied over. */

const key = (description: string) => text(description, { maxLength: 317 });
const value = text('A value.', { minLength: 0, maxLength: 253 });
const atLeastOneMatch = rule(
  "self.operator in ['In', 'NotIn'] ? self.values.size() > 0 : self.values.size() == 0 || self.operator in ['Gt', 'Lt']",
  'Operators In and NotIn need values; Exists and DoesNotExist take none.',
);

const requirement = <const Operator extends string>(operators: readonly Operator[]) =>
  section(
    'One requirement.',
    {
      key: key('Key of the label.'),
      operator: choice('How key and values relate.', operators),
      values: list('The values.', value, { maxItems: 50, default: [] }),
    },
    { rules: [atLeastOneMatch] },
  );

const LabelRequirement = requirement(['In', 'NotIn', 'Exists', 'DoesNotExist']);
const NodeRequirement = requirement(['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt']);

export const labelSelector = (description: string) =>
  section(description, {
    matchLabels: Type.Optional(
      map('Labels with these values.', text('Value of the label.', { minLength: 0, maxLength: 63 }), {
        maxProperties: 20,
      }),
    ),
    matchExpressions: Type.Optional(list('Requirements, all of which hold.', LabelRequirement, { maxItems: 20 })),
  });

const NodeSelectorTerm = section('Requirements, all of which hold.', {
  matchExpressions: Type.Optional(list('Requirements on labels of the node.', NodeRequirement, { maxItems: 20 })),
  matchFields: Type.Optional(list('Requirements on fields of the node.', NodeRequirement, { maxItems: 20 })),
});

const labelKeys = (description: string) => Type.Optional(list(description, key('Key of a label.'), { maxItems: 20 }));

const PodAffinityTerm = section('Pods that are meant, and what counts as the same place.', {
  labelSelector: Type.Optional(labelSelector('Pods that are meant.')),
  namespaceSelector: Type.Optional(labelSelector('Namespaces of these pods.')),
  namespaces: Type.Optional(
    list('Names of their namespaces.', text('A namespace.', { maxLength: 63 }), { maxItems: 20 }),
  ),
  topologyKey: key('Label of nodes that says what counts as the same place.'),
  matchLabelKeys: labelKeys('Labels whose values the other pods must share.'),
  mismatchLabelKeys: labelKeys('Labels whose values the other pods must not share.'),
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
    key: Type.Optional(text('Key of the taint. Without it all keys, with operator Exists.', { maxLength: 317 })),
    operator: choice('How key and value relate.', ['Exists', 'Equal'], { default: 'Equal' }),
    value: Type.Optional(text('Value of the taint, with operator Equal.', { minLength: 0, maxLength: 63 })),
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

export const TopologySpreadConstraint = section('How evenly pods are spread.', {
  maxSkew: count('Largest difference in pods between two places.', { minimum: 1, maximum: 1000 }),
  topologyKey: key('Label of nodes that says what counts as the same place.'),
  whenUnsatisfiable: choice('What to do with a pod that would break it.', ['DoNotSchedule', 'ScheduleAnyway']),
  labelSelector: Type.Optional(labelSelector('Pods that are counted. Default: the pods of this part.')),
  minDomains: Type.Optional(count('Places that there must be at least.', { minimum: 1, maximum: 1000 })),
  nodeAffinityPolicy: Type.Optional(choice('Whether node affinity counts.', ['Honor', 'Ignore'])),
  nodeTaintsPolicy: Type.Optional(choice('Whether taints of nodes count.', ['Honor', 'Ignore'])),
  matchLabelKeys: labelKeys('Labels whose values the counted pods must share.'),
});
