import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileSyncConfig } from '#core/sync-config/compile.ts';
import { definitionReads, keptBy, planChanges, type ActiveDefinitions } from '#core/sync-config/plan-changes.ts';
import { definitionSpecs, type SyncPlan } from '#core/sync-config/plan.ts';
import { activateAll } from './content.ts';
import { type StorageFactory, withInstance } from './factory.ts';

/** Streams that share tables, lookups and sources, each in two forms. */
const POOL = {
  lists: [
    'SELECT * FROM lists WHERE owner = auth.user_id()',
    'SELECT id, name FROM lists WHERE owner = auth.user_id()',
  ],
  items: [
    'SELECT * FROM items WHERE list IN (SELECT list FROM members WHERE person = auth.user_id())',
    'SELECT * FROM items WHERE list IN (SELECT list FROM members WHERE person = auth.user_id()) AND open',
  ],
  people: [
    'SELECT * FROM people WHERE id IN (SELECT other FROM friends WHERE person = auth.user_id())',
    'SELECT * FROM people WHERE id IN (SELECT list FROM members WHERE person = auth.user_id())',
  ],
  deals: ['SELECT * FROM "sales.public".deals', 'SELECT * FROM "sales.public".deals WHERE open'],
} as const;

const chosen = fc.record({
  lists: fc.option(fc.nat(1)),
  items: fc.option(fc.nat(1)),
  people: fc.option(fc.nat(1)),
  deals: fc.option(fc.nat(1)),
});
type Chosen = typeof chosen extends fc.Arbitrary<infer T> ? T : never;

function planOf(choice: Chosen): SyncPlan {
  const streams = Object.entries(POOL).flatMap(([name, forms]) => {
    const form = choice[name as keyof Chosen];
    return form === null ? [] : [`  ${name}:\n    auto_subscribe: true\n    query: ${forms[form]}`];
  });
  const text = `config: { edition: 3 }\nstreams:\n  always:\n    query: SELECT * FROM lists\n${streams.join('\n')}`;
  const defaultSchemas = { default: 'public', sales: 'public' };
  const { plan, diagnostics } = compileSyncConfig(text, {
    defaultSource: 'default',
    sources: ['default', 'sales'],
    defaultSchemas,
  });
  if (plan === null) throw new Error(JSON.stringify(diagnostics));
  return plan;
}

/** What is said before a deployment is what the deployment does (docs/adr/0008-operator.md). */
export function planBeforehand(factory: StorageFactory): void {
  describe('plan beforehand', () => {
    test('exactly the definitions that were said to be kept keep their id', () =>
      fc.assert(
        fc.asyncProperty(chosen, chosen, (one, other) =>
          withInstance(factory, async ({ storage }) => {
            const [former, next] = [planOf(one), planOf(other)];
            await activateAll(storage, definitionSpecs(former));
            const active = (await storage.configs.active())!;
            const known: ActiveDefinitions = {
              streams: former.streams.map(({ name }) => name),
              tables: [],
              definitions: active.definitions,
            };
            const said = planChanges(known, next);
            const definitions = definitionSpecs(next);
            const sources = [...new Set(definitions.map(({ source }) => source))];
            const deployed = await storage.configs.deploy({
              ...{ content: 'next', plan: JSON.stringify(next), definitions, sources },
            });
            const ids = new Set(active.definitions.map(({ id }) => id));
            const isKept = keptBy(known);
            for (const definition of deployed.definitions) expect(ids.has(definition.id)).toBe(isKept(definition));
            const copied = deployed.definitions.filter(({ id }) => !ids.has(id)).map(({ identity }) => identity);
            const needing = definitionReads(next).filter(({ identity }) => copied.includes(identity));
            expect(said.streams.filter(({ action }) => action === 'Copied').map(({ name }) => name)).toEqual(
              next.streams
                .map(({ name }) => name)
                .filter((name) => needing.some(({ streams }) => streams.includes(name))),
            );
          }),
        ),
        { numRuns: 12 },
      ));
  });
}
