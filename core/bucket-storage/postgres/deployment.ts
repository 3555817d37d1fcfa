/** Deploying a sync config: which definitions are kept, which are new, and who writes them (S-431, O-126…O-128). */
import type { DefinitionSpec } from '../sync-config-store.ts';
import type { Queryable } from './database.ts';
import { bumpRevision, lockInstance } from './instance.ts';
import { activate, readLiveVersions, type VersionRow } from './versions.ts';
import { enlistWaiting } from './write-checkpoint-rows.ts';

export interface DeployOptions {
  readonly content: string;
  readonly plan: string;
  readonly definitions: readonly DefinitionSpec[];
  readonly sources: readonly string[];
  readonly label?: string;
  readonly force?: readonly string[];
}

/** What is deployed; the id of each definition that is kept, null for one to be made. */
interface Assigned {
  readonly specs: readonly DefinitionSpec[];
  readonly ids: readonly (number | null)[];
}

interface KnownDefinition extends DefinitionSpec {
  readonly id: number;
}

/** Answers the number of the version that now has the plan. */
export async function deploy(transaction: Queryable, options: DeployOptions, now: number): Promise<number> {
  const instance = await lockInstance(transaction);
  const live = await readLiveVersions(transaction);
  const force = new Set(options.force ?? []);
  const unchanged = force.size === 0 ? sameVersion(live, options.plan) : null;
  await stopOthers(transaction, live, unchanged);
  if (unchanged !== null) {
    const changed = await transaction.change({ text: REPLACE_TEXT }, [
      unchanged,
      options.content,
      options.label ?? null,
    ]);
    if (changed > 0) await bumpRevision(transaction);
    return unchanged;
  }

  const version = instance.version_sequence + 1;
  const active = live.find((row) => row.state === 'active');
  await transaction.change({ text: INSERT_VERSION }, [
    version,
    options.content,
    options.plan,
    options.label ?? null,
    now,
  ]);
  const specs = distinctSpecs(options.definitions);
  const assigned: Assigned = { specs, ids: await keptDefinitions(transaction, active, specs, force) };
  const sources = new Set([...options.sources, ...specs.map((spec) => spec.source)]);
  const created = await assignStreams(transaction, version, active, sources, assigned);
  await writeDefinitions(transaction, version, assigned, created);
  await bumpRevision(transaction);
  if (created.size === 0) await activate(transaction, instance, version, now);
  return version;
}

/** `version_sequence` never goes back, so that no bucket name returns (S-377). */
const INSERT_VERSION = `WITH number AS (UPDATE powersync.instance SET version_sequence = $1 WHERE id = 1)
  INSERT INTO powersync.sync_config_versions (version, state, content, plan, label, created_ms)
  VALUES ($1, 'processing', $2, $3, $4, $5)`;

/** Other words for the same plan. */
const REPLACE_TEXT = `UPDATE powersync.sync_config_versions SET content = $2, label = coalesce($3, label)
  WHERE version = $1 AND (content <> $2 OR label IS DISTINCT FROM coalesce($3, label))`;

/** The version that already has this plan; the newest one wins. */
function sameVersion(live: readonly VersionRow[], plan: string): number | null {
  return live.findLast((row) => row.plan === plan)?.version ?? null;
}

/**
 * A newer deployment ends what is still processed, and what failed. So does going back to the active plan: the newest wish counts.
 */
async function stopOthers(transaction: Queryable, live: readonly VersionRow[], keep: number | null): Promise<void> {
  const ended = live.filter((row) => row.state !== 'active' && row.version !== keep);
  if (ended.length === 0) return;
  const text = `UPDATE powersync.sync_config_versions SET state = 'stopped' WHERE version = ANY($1::int[])`;
  await transaction.change({ text }, [ended.map((row) => row.version)]);
  await bumpRevision(transaction);
}

const identityOf = ({ kind, source, identity }: DefinitionSpec): string => JSON.stringify([kind, source, identity]);

/** Definitions of equal kind, source and identity hold the same data: they are one. */
function distinctSpecs(specs: readonly DefinitionSpec[]): DefinitionSpec[] {
  const distinct = new Map<string, DefinitionSpec>();
  for (const spec of specs) if (!distinct.has(identityOf(spec))) distinct.set(identityOf(spec), spec);
  return [...distinct.values()];
}

/**
 * Ids of kept definitions, by position; null for those to be made. A kept one keeps its name, which is part of its buckets' names: a name
 * never comes to mean other data.
 */
async function keptDefinitions(
  transaction: Queryable,
  active: VersionRow | undefined,
  specs: readonly DefinitionSpec[],
  force: ReadonlySet<string>,
): Promise<(number | null)[]> {
  if (!active) return specs.map(() => null);
  const known = await transaction.rows<KnownDefinition>(
    {
      text: `SELECT d.id, d.kind, d.identity, d.name, d.source FROM powersync.definitions d
        JOIN powersync.version_definitions vd ON vd.definition = d.id WHERE vd.version = $1`,
    },
    [active.version],
  );
  const ids = new Map(known.map((definition) => [identityOf(definition), definition.id]));
  return specs.map((spec) => (force.has(spec.source) ? null : (ids.get(identityOf(spec)) ?? null)));
}

/**
 * A source with anything new gets a stream of its own; so does one that nobody reads yet. Others go on with what they have.
 * Answers the new streams by source.
 */
async function assignStreams(
  transaction: Queryable,
  version: number,
  active: VersionRow | undefined,
  sources: ReadonlySet<string>,
  assigned: Assigned,
): Promise<ReadonlyMap<string, number>> {
  const serving = await transaction.rows<{ id: number; source: string }>(
    {
      text: `SELECT s.id, s.source FROM powersync.streams s JOIN powersync.version_streams vs ON vs.stream = s.id
        WHERE vs.version = $1`,
    },
    [active?.version ?? 0],
  );
  const created = new Map<string, number>();
  const link = 'INSERT INTO powersync.version_streams (version, stream, switched) VALUES ($1, $2, $3)';
  for (const source of sources) {
    const existing = serving.filter((stream) => stream.source === source);
    const renewed = assigned.specs.some((spec, index) => spec.source === source && assigned.ids[index] === null);
    if (existing.length > 0 && !renewed) {
      for (const stream of existing) await transaction.change({ text: link }, [version, stream.id, true]);
      continue;
    }
    const insert = 'INSERT INTO powersync.streams (source, version) VALUES ($1, $2) RETURNING id';
    const [row] = await transaction.rows<{ id: number }>({ text: insert }, [source, version]);
    created.set(source, row!.id);
    await transaction.change({ text: link }, [version, row!.id, false]);
    await enlistWaiting(transaction, source);
  }
  return created;
}

async function writeDefinitions(
  transaction: Queryable,
  version: number,
  { specs, ids }: Assigned,
  created: ReadonlyMap<string, number>,
): Promise<void> {
  const fresh = specs.filter((_spec, ordinal) => ids[ordinal] === null);
  const made = await transaction.rows<{ id: number }>({ text: NEW_IDS }, [fresh.length]);
  const pick = <T>(of: (spec: DefinitionSpec) => T): T[] => fresh.map(of);
  await transaction.change({ text: INSERT_DEFINITIONS }, [
    ...[made.map((row) => row.id), pick((spec) => spec.kind), pick((spec) => spec.identity), pick((spec) => spec.name)],
    ...[pick((spec) => spec.source), version, pick((spec) => created.get(spec.source))],
  ]);
  const next = made.values();
  const linked = ids.map((id) => id ?? next.next().value!.id);
  await transaction.change({ text: LINK_DEFINITIONS }, [version, linked]);
}

const NEW_IDS = `SELECT nextval(pg_get_serial_sequence('powersync.definitions', 'id'))::int AS id FROM generate_series(1, $1::int)`;
const INSERT_DEFINITIONS = `INSERT INTO powersync.definitions (id, kind, identity, name, source, since, stream)
  OVERRIDING SYSTEM VALUE
  SELECT n.id, n.kind, n.identity, n.name, n.source, $6, n.stream
  FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $7::int[]) AS n(id, kind, identity, name, source, stream)`;
const LINK_DEFINITIONS = `INSERT INTO powersync.version_definitions (version, definition, ordinal)
  SELECT $1, n.definition, n.ordinal - 1 FROM unnest($2::int[]) WITH ORDINALITY AS n(definition, ordinal)`;
