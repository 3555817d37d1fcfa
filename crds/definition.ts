import { stringify } from 'yaml';
import { structuralSchema, type StructuralSchema } from './structural-schema.ts';
import { SyncInstanceSchema } from './sync-instance/sync-instance.ts';

type Column = {
  name: string;
  type: 'string' | 'integer' | 'date';
  jsonPath: string;
  description: string;
  /** Above 0: only with `-o wide`. */
  priority?: number;
};

const ready = '.status.conditions[?(@.type=="Ready")]';

/** What `kubectl get syncinstances` answers: ready, sources, lag, config, workers, clients, age (design.md, section 6). */
const columns: Column[] = [
  {
    name: 'Ready',
    type: 'string',
    jsonPath: `${ready}.status`,
    description: 'Whether clients are served current data.',
  },
  { name: 'Sources', type: 'string', jsonPath: '.status.sourcesReady', description: 'Sources that keep up, of all.' },
  { name: 'Lag', type: 'integer', jsonPath: '.status.lagSeconds', description: 'Largest lag of a source, in seconds.' },
  {
    name: 'Config',
    type: 'integer',
    jsonPath: '.status.syncConfig.active.version',
    description: 'Version of the sync config that clients get.',
  },
  {
    name: 'Workers',
    type: 'integer',
    jsonPath: '.status.api.readyReplicas',
    description: 'API workers that are ready.',
  },
  { name: 'Clients', type: 'integer', jsonPath: '.status.api.connections', description: 'Clients connected.' },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Time since it was made.' },
  { name: 'Image', type: 'string', jsonPath: '.status.image', description: 'Image that runs.', priority: 1 },
  { name: 'Reason', type: 'string', jsonPath: `${ready}.reason`, description: 'Why it is ready or not.', priority: 1 },
];

/** The schema of the whole object, as in the CRD. */
export function syncInstanceSchema(): StructuralSchema {
  const { description, properties, ...rest } = structuralSchema(SyncInstanceSchema);
  return {
    description: description!,
    ...rest,
    properties: {
      apiVersion: { type: 'string', description: 'Group and version: `millrace.dev/v1alpha1`.' },
      kind: { type: 'string', description: 'Kind: `SyncInstance`.' },
      metadata: { type: 'object' },
      ...properties,
    },
  };
}

/** The CustomResourceDefinition that is applied to a cluster. */
export function customResourceDefinition() {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'syncinstances.millrace.dev' },
    spec: {
      group: 'millrace.dev',
      scope: 'Namespaced',
      names: {
        kind: 'SyncInstance',
        listKind: 'SyncInstanceList',
        plural: 'syncinstances',
        singular: 'syncinstance',
        shortNames: ['si'],
        categories: ['all'],
      },
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          additionalPrinterColumns: columns,
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.api.replicas',
              statusReplicasPath: '.status.api.replicas',
              labelSelectorPath: '.status.api.selector',
            },
          },
          schema: { openAPIV3Schema: syncInstanceSchema() },
        },
      ],
    },
  };
}

/** The CRD as a file. */
export function definitionYaml(): string {
  // Version 1.1 quotes words such as "Off", which the YAML of kubectl takes for booleans.
  const yaml = stringify(customResourceDefinition(), { version: '1.1', aliasDuplicateObjects: false, lineWidth: 120 });
  return `# Generated from crds/sync-instance by crds/generate.ts. Do not edit.\n${yaml}`;
}
