/** A worker on the fake storage with a real sync config, compiled and resolved as in the service. */
import { definitionSpecs } from '#core/sync-config/plan.ts';
import { createSessionResolver } from '#core/sync-config/evaluate/session-resolver.ts';
import { planOf } from '#core/sync-config/testing/support.ts';
import { createFakeStorage } from './fake-storage.ts';
import { startHarness, type Harness, type HarnessOptions } from './harness.ts';

export interface ConfiguredHarness extends Harness {
  /** The id of the first definition with a name that begins like this. */
  definition(name: string): number;
}

/** `streams`: the YAML below `streams:`, with its indentation. */
export async function startWithStreams(streams: string, options: HarnessOptions = {}): Promise<ConfiguredHarness> {
  const plan = planOf(`config: { edition: 3 }\nstreams:\n${streams}`);
  const definitions = definitionSpecs(plan).map((spec, index) => ({ ...spec, id: index + 1, since: 1 }));
  const storage = createFakeStorage();
  storage.deploy(1, definitions, plan);
  storage.commit({ version: 1 });
  const harness = await startHarness({
    ...options,
    storage,
    worker: { ...options.worker, createResolver: createSessionResolver },
  });
  return Object.assign(harness, {
    definition(name: string) {
      const found = definitions.find((definition) => definition.name.startsWith(name));
      if (found === undefined) throw new Error(`no definition ${name}: ${definitions.map((each) => each.name).join()}`);
      return found.id;
    },
  });
}

export const subscribe = (
  stream: string,
  parameters: unknown = null,
  priority: number | null = null,
): { stream: string; parameters: unknown; override_priority: number | null } => ({
  stream,
  parameters,
  override_priority: priority,
});
/** `streams` of a request with these subscriptions and without default streams. */
export const only = (...subscriptions: readonly ReturnType<typeof subscribe>[]): object => ({
  include_defaults: false,
  subscriptions,
});
