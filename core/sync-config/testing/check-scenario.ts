/**
 * For tests: plays a scenario and compares, after each step, what each person gets with what plain SQL gives (G3, G4). Needs no test
 * runner: `bench/oracle.ts` runs it too.
 */
import assert from 'node:assert/strict';
import { compileSyncConfig } from '../compile.ts';
import type { CompileOptions, ResolvedSession, SessionRequest } from '../contract.ts';
import { createSessionResolver } from '../evaluate/session-resolver.ts';
import type { SyncPlan } from '../plan.ts';
import { createPlainDatabase, type PlainDatabase } from './plain-database.ts';
import type { MeantStream, Scenario } from './random-scenarios.ts';
import type { Schema } from './random-schemas.ts';
import { bindings, type Person } from './random-values.ts';
import { createReplicatorModel, lookupText, type ReplicatorModel } from './replicator-model.ts';
import { addMeant, addVersion, compareVersions, type Versions } from './row-versions.ts';
import { createSource, type SourceModel } from './source-model.ts';

const OPTIONS: CompileOptions = {
  defaultSource: 'default',
  sources: ['default', 'other'],
  defaultSchemas: { default: 'public', other: 'public' },
};
const LIMITS = { maxBuckets: 1_000_000, maxParameterResults: 1_000_000 };

/** How much a scenario said: comparisons of empty sets say little. */
export interface Statistics {
  /** Answers to one subscription after one step, and how many of them were some of the rows but not all. */
  answers: number;
  partial: number;
  /** Rows of these answers, and how many more there were in their buckets: rows that came through several. */
  rows: number;
  merged: number;
  /** Rows of the last answer. */
  lastRows: number;
  /** Sessions resolved again though none of their lookups had changed, and those that had lookups and got other buckets. */
  stable: number;
  moved: number;
}
export const noStatistics = (): Statistics => ({
  answers: 0,
  partial: 0,
  rows: 0,
  merged: 0,
  lastRows: 0,
  stable: 0,
  moved: 0,
});

/** The plan; null when the config has more branches than are possible, or an OR that bucket definitions do not have (S-160). */
export function planOf(config: string): SyncPlan | null {
  const { plan, diagnostics } = compileSyncConfig(config, OPTIONS);
  if (plan !== null) return JSON.parse(JSON.stringify(plan)) as SyncPlan;
  const errors = diagnostics.filter(({ level }) => level === 'error');
  if (errors.every(({ code }) => code === 'PSYNC_R2217' || code === 'PSYNC_R2222')) return null;
  throw new Error(errors.map(({ code, message }) => `${code} ${message}`).join('\n'));
}

/** Throws where ours and theirs differ. False when there is no plan. */
export async function checkScenario(scenario: Scenario, statistics: Statistics): Promise<boolean> {
  const plan = planOf(scenario.config);
  if (plan === null) return false;
  const database = createPlainDatabase(scenario.schema);
  try {
    await play(scenario, plan, database, statistics);
  } finally {
    database.close();
  }
  return true;
}

async function play(
  scenario: Scenario,
  plan: SyncPlan,
  database: PlainDatabase,
  statistics: Statistics,
): Promise<void> {
  const { schema, people, rows, steps } = scenario;
  const replicator = createReplicatorModel(plan);
  const source = createSource(schema, replicator, database);
  for (const step of rows) source.apply(step);
  const sessions = people.map((person) => createSession(scenario, person, plan, replicator, database, source));
  for (const session of sessions) await session.check(new Set(), statistics);
  for (const step of steps) {
    const changed = source.apply(step);
    for (const session of sessions) await session.check(changed, statistics);
  }
  const copy = createReplicatorModel(plan);
  source.copyTo(copy);
  assert.deepEqual(copy.contents(), replicator.contents(), 'the changes add up to a copy of the last state');
}

/** One person's session over the whole scenario. */
function createSession(
  scenario: Scenario,
  person: Person,
  plan: SyncPlan,
  replicator: ReplicatorModel,
  database: PlainDatabase,
  source: SourceModel,
) {
  const { streams } = scenario;
  const resolver = createSessionResolver(plan);
  const request: SessionRequest = {
    userId: person.userId,
    claims: person.claims,
    connectionParameters: person.connection,
    includeDefaults: person.includeDefaults,
    subscriptions: person.subscriptions.map(({ stream, ...subscription }) => ({
      stream: streams[stream]?.name ?? 'no such stream',
      ...subscription,
    })),
  };
  let last: ResolvedSession | null = null;

  return {
    check: async (changed: ReadonlySet<string>, statistics: Statistics): Promise<void> => {
      const asked = new Set<string>();
      const session = await resolver.resolve(
        request,
        async (keys) => {
          for (const key of keys) asked.add(lookupText(key));
          return replicator.read(keys);
        },
        LIMITS,
      );
      assert.deepEqual(new Set(session.lookups.map(lookupText)), asked, 'every lookup that was read is reported');
      if (last !== null && !last.lookups.some((key) => changed.has(lookupText(key)))) {
        assert.deepEqual(session, last, 'what a session gets depends on the reported lookups alone');
        if (changed.size > 0 && session.lookups.length > 0) statistics.stable++;
      } else if (last !== null && session.buckets.length !== last.buckets.length) {
        statistics.moved++;
      }
      last = session;
      for (const reason of reasonsOf(scenario, person, session)) {
        const ours = received(session, reason.is, replicator, database, statistics);
        const theirs = meant(scenario.schema, reason.stream, reason.subscription, person, database, source);
        compareVersions(ours, theirs);
        checkPriorities(session, reason);
        statistics.answers++;
        if (theirs.size > 0 && theirs.size < source.count()) statistics.partial++;
      }
    },
  };
}

interface Reason {
  readonly stream: MeantStream;
  readonly subscription: Readonly<Record<string, unknown>> | null;
  /** Its own override, when valid. */
  readonly override: number | null;
  is(reason: ResolvedSession['buckets'][number]['reasons'][number]): boolean;
}

/** Each way in which this person asks for a stream; the session must know the streams and the errors of these (S-65, S-535, S-551…S-554). */
function reasonsOf({ streams }: Scenario, person: Person, session: ResolvedSession): Reason[] {
  const object = (value: unknown): value is Record<string, unknown> | null =>
    value === null || (typeof value === 'object' && !Array.isArray(value));
  const priority = (value: number | null): boolean => value === null || [0, 1, 2, 3].includes(value);
  const known = streams.filter(
    ({ byDefault }, at) =>
      (byDefault && person.includeDefaults) || person.subscriptions.some(({ stream }) => stream === at),
  );
  assert.deepEqual(
    session.streams.map(({ name, isDefault, errors }) => [
      name,
      isDefault,
      errors.map(({ subscription }) => subscription),
    ]),
    known.map((stream) => [
      stream.name,
      stream.byDefault,
      person.subscriptions.flatMap(({ stream: at, parameters, overridePriority }, index) =>
        streams[at] === stream && !(object(parameters) && priority(overridePriority)) ? [index] : [],
      ),
    ]),
    'streams and their errors',
  );
  const byDefault = known
    .filter((stream) => stream.byDefault && person.includeDefaults)
    .map((stream): Reason => ({
      stream,
      subscription: null,
      override: null,
      is: (reason) => 'default' in reason && session.streams[reason.default]?.name === stream.name,
    }));
  const subscribed = person.subscriptions.flatMap(({ stream: at, parameters, overridePriority }, index): Reason[] => {
    const stream = streams[at];
    if (stream === undefined || !object(parameters)) {
      for (const { reasons } of session.buckets)
        assert(
          !reasons.some((reason) => 'sub' in reason && reason.sub === index),
          'nothing comes of a wrong subscription',
        );
      return [];
    }
    const override = priority(overridePriority) ? overridePriority : null;
    return [{ stream, subscription: parameters, override, is: (reason) => 'sub' in reason && reason.sub === index }];
  });
  return [...byDefault, ...subscribed];
}

/** The rows in the buckets that the session has for this reason. */
function received(
  { buckets }: ResolvedSession,
  is: Reason['is'],
  replicator: ReplicatorModel,
  database: PlainDatabase,
  statistics: Statistics,
): Versions {
  const versions: Versions = new Map();
  let places = 0;
  for (const { identity, key, reasons } of buckets) {
    if (!reasons.some(is)) continue;
    for (const { type, id, source, data } of replicator.rowsOf(identity, key)) {
      addVersion(versions, [type, id, source], database.members(data));
      places++;
    }
  }
  statistics.rows += versions.size;
  statistics.lastRows = versions.size;
  statistics.merged += places - versions.size;
  return versions;
}

/** The rows that plain SQL gives for it. */
function meant(
  schema: Schema,
  { meanings }: MeantStream,
  subscription: Reason['subscription'],
  person: Person,
  database: PlainDatabase,
  source: SourceModel,
): Versions {
  const versions: Versions = new Map();
  const bound = bindings(person, subscription);
  for (const meaning of meanings) {
    for (const row of database.rows(meaning, bound)) {
      addMeant(versions, schema, meaning, row, source.cells(row.table, row.key));
    }
  }
  return versions;
}

/** The highest priority among its reasons (S-69); parameter queries may set their own (S-237). */
function checkPriorities(session: ResolvedSession, { stream, override, is }: Reason): void {
  const own = new Set(stream.meanings.map(({ priority }) => override ?? priority ?? stream.priority));
  for (const bucket of session.buckets) {
    if (!bucket.reasons.some(is)) continue;
    assert(bucket.priority <= Math.max(...own), 'the priority of each reason counts');
    if (bucket.reasons.length === 1) assert(own.has(bucket.priority), 'the priority is that of the reason');
  }
}
