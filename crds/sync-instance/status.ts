import { type Static, Type } from 'typebox';
import { choice, count, list, listByKey, measured, section, text, time } from './schema-parts.ts';

/** What is so. Written by the operator alone, through the status subresource. No row data, tokens or secrets. */

export const conditionTypes = [
  'Ready',
  'SecretsResolved',
  'SyncConfigValid',
  'SyncConfigDeployed',
  'StorageReady',
  'SourcesReady',
  'ApiAvailable',
  'SourceLogSafe',
  'Progressing',
] as const;

/** As metav1.Condition, so that `kubectl wait --for=condition=Ready` and every other tool understand it. */
const ConditionSchema = section('One aspect of the state.', {
  type: text('Aspect; `Ready` sums up.', { maxLength: 316, pattern: '^[A-Za-z][A-Za-z0-9]*$' }),
  status: choice('Whether it holds.', ['True', 'False', 'Unknown']),
  observedGeneration: Type.Optional(measured('Generation of the spec that this is about.')),
  lastTransitionTime: time('When the status changed last.'),
  reason: text('Why, as one stable word.', { maxLength: 128, pattern: '^[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?$' }),
  message: text('Why, as a sentence.', { minLength: 0, maxLength: 32_768 }),
});

const name = (description: string) => text(description, { maxLength: 253 });
const percent = Type.Optional(count('Share that is done.', { minimum: 0, maximum: 100 }));

const ErrorSchema = section('What is wrong.', {
  code: Type.Optional(text('Code, as in the list of error codes.', { maxLength: 64 })),
  message: text('What is wrong and what to do.', { maxLength: 4096 }),
});

const SourceStatusSchema = section('State of one source.', {
  name: name('Name of the source.'),
  state: choice(
    '`Pending`: no pod leads yet. `Copying`: initial copy. `CatchingUp`: behind the source. `Streaming`: keeps up. `Failed`: see error. `Unknown`: no answer.',
    ['Pending', 'Copying', 'CatchingUp', 'Streaming', 'Failed', 'Unknown'],
  ),
  leader: Type.Optional(name('Pod that reads the source.')),
  readyReplicas: Type.Optional(measured('Pods that are ready.')),
  lagBytes: Type.Optional(measured('Bytes of the log of the source that are not read yet.')),
  lagSeconds: Type.Optional(measured('Seconds by which the newest data are older than those of the source.')),
  snapshot: Type.Optional(
    section('Progress of the initial copy.', {
      rowsCopied: measured('Rows copied.'),
      rowsEstimated: Type.Optional(measured('Rows in all, estimated.')),
      percent,
      secondsRemaining: Type.Optional(measured('Seconds to go, estimated.')),
    }),
  ),
  log: Type.Optional(
    section('What the source keeps of its log for this instance.', {
      retainedBytes: Type.Optional(measured('Bytes kept.')),
      limitBytes: Type.Optional(measured('Bytes that it keeps at most.')),
      hoursUntilLoss: Type.Optional(measured('Hours until the limit is reached, at the present pace.')),
    }),
  ),
  error: Type.Optional(ErrorSchema),
  observedAt: Type.Optional(time('When the source was asked last.')),
});

const revision = text('Hash of the text of the sync config.', { minLength: 0, maxLength: 64 });
const version = Type.Optional(measured('Number of the version in storage.'));

const SyncConfigStatusSchema = section('State of the sync config.', {
  active: Type.Optional(
    section('What clients get.', { revision, version, label: Type.Optional(text('Its label.', { maxLength: 256 })) }),
  ),
  deploying: Type.Optional(section('What is being copied beside it.', { revision, version, percent })),
  pending: Type.Optional(section('What waits for approval or for an API worker.', { revision })),
  error: Type.Optional(
    section('Why the sync config of the spec is not deployed.', {
      code: Type.Optional(text('Code, as in the list of error codes.', { maxLength: 64 })),
      line: Type.Optional(measured('Line, counted from 1.')),
      column: Type.Optional(measured('Column, counted from 1.')),
      message: text('What is wrong and what to do.', { maxLength: 4096 }),
    }),
  ),
  plan: Type.Optional(
    section('What deploying the sync config means, said before it is done.', {
      revision,
      rowsToCopy: Type.Optional(measured('Rows that are copied anew, estimated.')),
      streams: list(
        'Streams of both sync configs, at most 200.',
        section('One stream.', {
          name: name('Name of the stream.'),
          action: choice('What happens to it.', ['Kept', 'Copied', 'Removed']),
          rows: Type.Optional(measured('Rows that this means, estimated.')),
        }),
        { maxItems: 200, default: [] },
      ),
    }),
  ),
});

const ApiStatusSchema = section('State of the API workers.', {
  replicas: measured('API workers that there are.'),
  readyReplicas: Type.Optional(measured('API workers that take clients.')),
  desiredReplicas: Type.Optional(measured('API workers that are wanted.')),
  connections: Type.Optional(measured('Clients connected.')),
  selector: Type.Optional(text('Selector of their pods, for the scale subresource.', { maxLength: 1024 })),
});

export const SyncInstanceStatusSchema = section('What is so.', {
  observedGeneration: Type.Optional(measured('Generation of the spec that this is about.')),
  conditions: Type.Optional(listByKey('Aspects of the state.', ConditionSchema, { key: 'type', maxItems: 20 })),
  image: Type.Optional(text('Image that runs.', { maxLength: 512 })),
  version: Type.Optional(text('Version that runs.', { maxLength: 128 })),
  sources: Type.Optional(listByKey('State of each source.', SourceStatusSchema, { key: 'name', maxItems: 40 })),
  // For the columns of kubectl, which can neither count nor compare.
  sourcesReady: Type.Optional(text('Sources that are read and keep up, of all: `2/2`.', { maxLength: 16 })),
  lagSeconds: Type.Optional(measured('Largest lag of a source.')),
  syncConfig: Type.Optional(SyncConfigStatusSchema),
  api: Type.Optional(ApiStatusSchema),
  storage: Type.Optional(
    section('State of bucket storage.', {
      migratedImage: Type.Optional(text('Image whose migrations have run.', { maxLength: 512 })),
    }),
  ),
  compaction: Type.Optional(
    section('Runs of compaction.', {
      lastSuccessTime: Type.Optional(time('When one succeeded last.')),
      lastFailureTime: Type.Optional(time('When one failed last.')),
    }),
  ),
  endpoints: Type.Optional(
    section('Where clients connect.', {
      service: Type.Optional(text('Address within the cluster.', { maxLength: 2048 })),
      external: Type.Optional(text('Address of Ingress or HTTPRoute.', { maxLength: 2048 })),
    }),
  ),
});

/** @public */
export type ConditionType = (typeof conditionTypes)[number];
/** @public */
export type Condition = Static<typeof ConditionSchema>;
/** @public */
export type SourceStatus = Static<typeof SourceStatusSchema>;
/** @public */
export type SyncConfigStatus = Static<typeof SyncConfigStatusSchema>;
