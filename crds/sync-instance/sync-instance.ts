import { type Static, Type } from 'typebox';
import { Api } from './api.ts';
import { ClientAuth } from './client-auth.ts';
import { Compaction } from './compaction.ts';
import { Image } from './image.ts';
import { annotations, instanceNameRules } from './metadata-names.ts';
import { NetworkPolicy } from './network-policy.ts';
import { choice, count, flag, rule, section } from './schema-parts.ts';
import { Sources } from './sources.ts';
import { SyncInstanceStatusSchema } from './status.ts';
import { Redis, Storage } from './storage.ts';
import { SyncConfig } from './sync-config.ts';
import { Telemetry } from './telemetry.ts';

/**
 * The resource: the one definition from which the CRD, its reference and the types come (`crds/generate.ts`).
 * Version v1alpha1; fields may only be added, until there is another version and a conversion.
 */

const Deletion = section(
  'What happens when the instance is deleted. Replication slots are removed in any case.',
  {
    policy: choice('`Delete` removes bucket storage too, `Retain` keeps it.', ['Delete', 'Retain'], {
      default: 'Delete',
    }),
    timeoutSeconds: count(
      'Seconds after which the instance goes even if the source or storage could not be cleaned up. An event says what stays behind.',
      { minimum: 10, maximum: 86_400, default: 300 },
    ),
  },
  { default: {} },
);

const ServiceAccount = section(
  'The ServiceAccount of all parts. They get no token for the Kubernetes API.',
  { annotations: annotations('Annotations, for example of a cloud provider.') },
  { default: {} },
);

const SyncInstanceSpecSchema = section(
  'What is wanted.',
  {
    image: Image,
    paused: flag('The operator changes nothing about this instance. What runs goes on running.', false),
    sources: Sources,
    storage: Storage,
    redis: Type.Optional(Redis),
    syncConfig: SyncConfig,
    clientAuth: ClientAuth,
    api: Api,
    compaction: Compaction,
    telemetry: Telemetry,
    networkPolicy: NetworkPolicy,
    serviceAccount: ServiceAccount,
    deletion: Deletion,
  },
  {
    rules: [
      rule(
        "!self.clientAuth.supabase || self.sources.exists(source, source.type == 'postgresql')",
        'clientAuth.supabase needs a source of type postgresql: keys and audience come from its Supabase project.',
      ),
    ],
  },
);

export const SyncInstanceSchema = section(
  'A sync engine: reads source databases, and keeps a SQLite database inside every client in sync with them.',
  { spec: SyncInstanceSpecSchema, status: Type.Optional(SyncInstanceStatusSchema) },
  { rules: instanceNameRules },
);

/** What the operator reads and writes of an object's metadata; times are text, as the API server sends them. */
export type ObjectMeta = {
  name: string;
  namespace: string;
  uid: string;
  generation: number;
  resourceVersion?: string;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  finalizers?: string[];
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
};

export type SyncInstanceSpec = Static<typeof SyncInstanceSpecSchema>;
export type SyncInstanceStatus = Static<typeof SyncInstanceStatusSchema>;

/**
 * A SyncInstance as the API server hands it out: with all defaults.
 */
export type SyncInstance = {
  apiVersion: 'millrace.dev/v1alpha1';
  kind: 'SyncInstance';
  metadata: ObjectMeta;
  spec: SyncInstanceSpec;
  status?: SyncInstanceStatus;
};
