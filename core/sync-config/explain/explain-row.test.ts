import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SessionRequest } from '../contract.ts';
import { isTrue } from '../evaluate/comparison.ts';
import { elementsOf } from '../evaluate/json/functions.ts';
import { keyText } from '../evaluate/keys.ts';
import { matchesTable } from '../evaluate/matches-table.ts';
import { createRowCompiler } from '../evaluate/row-expression.ts';
import { compileSessionExpression, sessionEnv } from '../evaluate/session-parameters.ts';
import { createSessionResolver } from '../evaluate/session-resolver.ts';
import type { PlanExpr, SyncPlan } from '../plan.ts';
import { planOf as planOfScenario } from '../testing/check-scenario.ts';
import { scenario, type Scenario } from '../testing/random-scenarios.ts';
import { rowOf, tablesOf, type HeldTable } from '../testing/random-schemas.ts';
import type { Person } from '../testing/random-values.ts';
import { createReplicatorModel, type ReplicatorModel } from '../testing/replicator-model.ts';
import { contributionOf, planExpressionOf } from '../testing/support.ts';
import type { SourceRow, SqliteValue } from '../values.ts';
import type { AccessReason, AccessReport, Evaluated, RowExplanation, RowReason, StreamReport } from './contract.ts';
import { explainRow } from './explain-row.ts';
import { literalOf } from './key-values.ts';

const LIMITS = { maxBuckets: 1_000_000, maxParameterResults: 1_000_000 };

interface Living {
  readonly table: HeldTable;
  readonly row: SourceRow;
}

/** How often each reason was given, and how many of the expressions in them were evaluated again from their text. */
interface Tally {
  readonly kinds: Map<string, number>;
  places: number;
  reevaluated: number;
}

function requestOf(person: Person, { streams }: Scenario): SessionRequest {
  return {
    userId: person.userId,
    claims: person.claims,
    connectionParameters: person.connection,
    includeDefaults: person.includeDefaults,
    subscriptions: person.subscriptions.map(({ stream, ...rest }) => ({
      stream: streams[stream]?.name ?? 'none',
      ...rest,
    })),
  };
}

function livingRows({ schema, rows }: Scenario, replicator: ReplicatorModel): Living[] {
  return rows.map((step, at) => {
    const read = tablesOf(schema.patterns[step.name], schema.tables);
    const tables = step.table === 7 || read.length === 0 ? schema.tables : read;
    const table = tables[step.table % tables.length] as HeldTable;
    const row = rowOf(table, step.cells);
    replicator.change(table, String(at), null, row);
    return { table, row };
  });
}

/** What a text of the explanation means, read as a query; null where it is written as no query can be. */
function parsed(sql: string): PlanExpr | null {
  try {
    return planExpressionOf(sql);
  } catch {
    return null;
  }
}

function checkRowReason(reason: RowReason, plan: SyncPlan, { table, row }: Living, tally: Tally): void {
  count(tally, reason.kind);
  if (reason.kind === 'not-syncable') return;
  if (reason.kind === 'null-id' || reason.kind === 'filter') expect(reason.value).not.toBe('1');
  if (reason.kind === 'null-id') expect(reason.value).toBe('NULL');
  if (reason.kind === 'element-filter') expect(reason.value).toMatch(/^(NULL|0|0\.0|'.*'|x'.*')$/s);
  const expr = reason.sql.includes('json_each') || reason.sql.endsWith('…') ? null : parsed(reason.sql);
  if (expr === null || reason.kind === 'element-filter' || reason.kind === 'no-elements') return;
  const pattern = { source: table.source, schema: table.schema, name: table.name, wildcard: false };
  const value = createRowCompiler(table, pattern, plan.fixedJsonExtract).compile(expr, [])(row);
  expect(untrue(reason.kind, value), `${reason.kind}: ${reason.sql}`).toBe(true);
  tally.reevaluated++;
}
const untrue = (kind: string, value: SqliteValue): boolean => {
  if (kind === 'filter' || kind === 'gate') return !isTrue(value);
  return kind === 'null-id' ? value === null : keyText(value) === null;
};

interface Asker {
  /** Buckets of the session. */
  readonly granted: ReadonlySet<string>;
  readonly living: readonly Living[];
  readonly plan: SyncPlan;
  readonly request: SessionRequest;
  readonly replicator: ReplicatorModel;
}

function checkAccessReason(
  reason: AccessReason,
  access: AccessReport,
  { plan, request, living }: Asker,
  tally: Tally,
): void {
  count(tally, reason.kind);
  const subscription =
    access.through === 'default'
      ? null
      : (request.subscriptions[access.through]?.parameters as Record<string, unknown>);
  const again = ({ sql }: Evaluated): SqliteValue | undefined => {
    const expr = parsed(sql);
    if (expr === null) return undefined;
    tally.reevaluated++;
    return compileSessionExpression(expr, plan.fixedJsonExtract)(sessionEnv(request, subscription));
  };
  switch (reason.kind) {
    case 'gate':
    case 'null-value': {
      const value = again(reason);
      if (value !== undefined) expect(untrue(reason.kind, value), reason.sql).toBe(true);
      return;
    }
    case 'other-value':
      expect(reason.row.value).not.toBe(reason.session.value);
      return;
    case 'no-lookup-row': {
      const lookup = plan.lookups.find(({ name }) => name === reason.lookup);
      const pattern = lookup?.rules[0]?.table ?? expect.fail(reason.lookup);
      const where = reason.where === '' ? planExpressionOf('1') : parsed(reason.where);
      const gives = reason.gives.map(parsed);
      if (where === null || gives.includes(null)) return;
      // no row that there is fulfils it
      for (const { table, row } of living.filter((item) => matchesTable(pattern, item.table))) {
        const compiler = createRowCompiler(table, pattern, plan.fixedJsonExtract);
        const usable = gives.every((expr) => expr !== null && keyText(compiler.compile(expr, [])(row)) !== null);
        expect(usable && isTrue(compiler.compile(where, [])(row)), reason.where).toBe(false);
        tally.reevaluated++;
      }
      return;
    }
    case 'not-in-list': {
      const value = again(reason.list);
      if (value === undefined) return;
      for (const element of elementsOf(value, 'each')) {
        const text = keyText(element.value);
        if (text !== null) expect(literalOf(text), reason.list.sql).not.toBe(reason.row.value);
      }
      return;
    }
    case 'no-elements': {
      const value = again(reason.list);
      if (value === undefined) return;
      // an object is a list to some queries only
      const elements = elementsOf(value, 'array');
      if (reason.conditions.length === 0) return expect(elements, reason.list.sql).toEqual([]);
      // an element is read where it stands: as a parameter that is nowhere else
      const written = `json_each(${reason.list.sql}).value`;
      const where = parsed(reason.conditions.join(' AND ').replaceAll(written, "subscription.parameter('element')"));
      if (where === null) return;
      for (const { value: element } of elements) {
        const env = sessionEnv(request, {
          ...subscription,
          element: typeof element === 'bigint' ? Number(element) : element,
        });
        const isFound = isTrue(compileSessionExpression(where, plan.fixedJsonExtract)(env));
        expect(isFound, `${written}: ${reason.conditions.join(' AND ')}`).toBe(false);
        tally.reevaluated++;
      }
      return;
    }
    case 'no-combination':
      return;
    case 'too-much':
      expect.fail('nothing here is that large');
  }
}

const count = ({ kinds }: Tally, kind: string): void => void kinds.set(kind, (kinds.get(kind) ?? 0) + 1);

/** The plan with nothing but keys in this definition. */
function relaxed(plan: SyncPlan, identity: string): SyncPlan {
  const id = { kind: 'column', name: 'id', value: { kind: 'text', value: 'x' } } as const;
  const [bucket] = plan.buckets.filter((item) => item.identity === identity);
  const rules = bucket?.rules.map((rule) => ({ ...rule, filters: [], outputs: [id] })) ?? [];
  return { ...plan, buckets: bucket === undefined ? [] : [{ ...bucket, rules }], lookups: [] };
}

const nameOf = (place: { identity: string; key: string; objectType: string; objectId: string }): string =>
  JSON.stringify([place.identity, place.key, place.objectType, place.objectId]);

function checkStream(stream: StreamReport, explained: RowExplanation, living: Living, asker: Asker, tally: Tally) {
  for (const definition of stream.definitions) {
    const held = definition.rules.flatMap(({ keys }) => keys);
    for (const { keys, keyCount, because } of definition.rules) {
      expect(keyCount > 0).toBe(because.length === 0);
      expect(keys.length > 0).toBe(keyCount > 0);
      for (const reason of because) checkRowReason(reason, asker.plan, living, tally);
    }
    expect(definition.access.length > 0).toBe(stream.subscribed.length > 0);
    for (const access of definition.access) {
      const isShared = access.keys.some((key) => held.includes(key));
      // every "not" has a reason
      if (held.length > 0) expect(access.because.length > 0).toBe(!isShared);
      else expect(access.because.length > 0).toBe(access.keyCount === 0);
      for (const reason of access.because) checkAccessReason(reason, access, asker, tally);
    }
    // what is told of the filters is so without them
    if (definition.butForTheRow) {
      count(tally, 'but for the row');
      const without = relaxed(asker.plan, definition.identity);
      const { buckets } = contributionOf(without, living.table, living.row);
      expect(held).toEqual([]);
      expect(buckets.some(({ key }) => asker.granted.has(`${definition.identity} ${key}`))).toBe(true);
    }
    const has = explained.places.some(({ definition: name }) => name === definition.name);
    expect((definition.shared ?? []).length > 0).toBe(has);
  }
  if (stream.subscribed.length === 0) count(tally, 'not-subscribed');
}

async function checkExplanation(living: Living, about: Omit<Asker, 'granted'>, tally: Tally): Promise<void> {
  const { plan, request, replicator } = about;
  const { table, row } = living;
  const explained = await explainRow({ plan, table, row, request, read: replicator.read });
  const session = await createSessionResolver(plan).resolve(request, replicator.read, LIMITS);
  const granted = new Set(session.buckets.map(({ identity, key }) => `${identity} ${key}`));
  const identities = new Map(plan.buckets.map(({ name, identity }) => [name, identity]));
  const given = contributionOf(plan, table, row).buckets.map(({ definition, key, type, id, data }) => ({
    ...{ identity: identities.get(definition) ?? '', key, objectType: type, objectId: id, data },
  }));
  const mine = given.filter(({ identity, key }) => granted.has(`${identity} ${key}`));
  expect(explained.places.map(nameOf).toSorted()).toEqual(mine.map(nameOf).toSorted());
  const others = given.filter((place) => !mine.includes(place));
  expect(explained.elsewhere.map(nameOf).toSorted()).toEqual(others.map(nameOf).toSorted());
  for (const place of explained.places) {
    expect(place.data).toBe(given.find((other) => nameOf(other) === nameOf(place))?.data);
    tally.places++;
  }
  for (const stream of explained.streams) checkStream(stream, explained, living, { ...about, granted }, tally);
  const known = new Set([...explained.streams.map(({ name }) => name), ...explained.otherStreams]);
  expect([...known].toSorted()).toEqual(plan.streams.map(({ name }) => name).toSorted());
  checkLookups(explained, plan, living, tally);
  expect(JSON.parse(JSON.stringify(explained))).toEqual(explained);
}

function checkLookups({ lookups }: RowExplanation, plan: SyncPlan, living: Living, tally: Tally): void {
  const entries = contributionOf(plan, living.table, living.row).lookups;
  for (const { name, entries: told, because } of lookups) {
    const real = entries.filter(({ definition }) => definition === name);
    expect(told.length > 0).toBe(because.length === 0);
    for (const entry of told) expect(real.some(({ key }) => key === entry.key)).toBe(true);
    for (const reason of because) checkRowReason(reason, plan, living, tally);
  }
}

describe('an explanation', () => {
  test('says what evaluation and resolution do, and names for every "not" what is not true (G4)', async () => {
    const tally: Tally = { kinds: new Map(), places: 0, reevaluated: 0 };
    await fc.assert(
      fc.asyncProperty(scenario, async (item) => {
        const plan = planOfScenario(item.config);
        fc.pre(plan !== null);
        const replicator = createReplicatorModel(plan);
        const rows = livingRows(item, replicator);
        for (const person of item.people) {
          for (const living of rows) {
            await checkExplanation(living, { plan, request: requestOf(person, item), replicator, living: rows }, tally);
          }
        }
      }),
      { numRuns: Number(process.env['RUNS'] ?? 60) },
    );
    expect(tally.places).toBeGreaterThan(10);
    expect(tally.reevaluated).toBeGreaterThan(100);
    const told = [...tally.kinds.keys()];
    for (const kind of [
      'filter',
      'null-key',
      'gate',
      'null-value',
      'other-value',
      'no-lookup-row',
      'not-subscribed',
      'but for the row',
    ])
      expect(told).toContain(kind);
  });
});
