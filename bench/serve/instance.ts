/** The instance of bench/serve.ts: a sync config, and a writer in the place of a replicator. */
import { commitAt, emptyBatch } from '#core/bucket-storage/conformance/content.ts';
import type { BucketStorage, ReplicationStream, SourceWriter } from '#core/bucket-storage/contract.ts';
import type { DeployedDefinition } from '#core/bucket-storage/sync-config-store.ts';
import { compileSyncConfig } from '#core/sync-config/compile.ts';
import { definitionSpecs } from '#core/sync-config/plan.ts';

const TEXT = `config:
  edition: 3
streams:
  shared:
    auto_subscribe: true
    query: SELECT * FROM shared
  mine:
    auto_subscribe: true
    query: SELECT * FROM notes WHERE owner = auth.user_id()
  large:
    query: SELECT * FROM large
  warm:
    query: SELECT * FROM warm WHERE part = subscription.parameter('part')
`;

export interface Activated {
  readonly writer: SourceWriter;
  readonly stream: ReplicationStream;
  definition(name: string): number;
  /** Of a bucket, as clients know it. */
  bucketName(name: string, key: string): string;
}

/** Deploys the sync config and opens its only source for writing. */
export async function activate(target: BucketStorage): Promise<Activated> {
  const { plan } = compileSyncConfig(TEXT, {
    defaultSource: 'default',
    sources: ['default'],
    defaultSchemas: { default: 'public' },
  });
  if (plan === null) throw new Error('the sync config of the benchmark does not compile');
  const deployed = await target.configs.deploy({
    content: TEXT,
    plan: JSON.stringify(plan),
    definitions: definitionSpecs(plan),
    sources: ['default'],
  });
  const opened = await target.takeOver('default', 'bench');
  const [first] = await opened.streams();
  await opened.flush(emptyBatch(first!.id, commitAt('p0')));
  await opened.switchOver({ version: deployed.version, from: null, to: first!.id });
  const definitionOf = (name: string): DeployedDefinition =>
    deployed.definitions.find((item) => item.name.startsWith(`${name}|`))!;
  return {
    writer: opened,
    stream: first!,
    definition: (name) => definitionOf(name).id,
    bucketName: (name, key) => `${definitionOf(name).since}#${definitionOf(name).name}${key}`,
  };
}
