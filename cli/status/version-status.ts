/** A deployed version of the sync config as `/status` tells it. */
import type { TableProgress } from '#core/bucket-storage/contract.ts';
import type { DeployedVersion } from '#core/bucket-storage/sync-config-store.ts';
import { STATUS_LIMITS, type SyncConfigPartStatus } from '#core/platform/status/contract.ts';
import { syncConfigRevision } from '#core/platform/status/revision.ts';
import type { SyncPlan } from '#core/sync-config/contract.ts';
import { matchesTable } from '#core/sync-config/evaluate/matches-table.ts';
import { definitionReads, readTable, type ReadTable } from '#core/sync-config/plan-changes.ts';
import type { TablePattern } from '#core/sync-config/plan.ts';
import { createBounds, messageText, nameText, timeText, type Bounds } from './bounded.ts';

/** Progress of a stream: this process' own where it leads, else what storage has. */
export type ProgressOf = (stream: DeployedVersion['streams'][number]) => readonly TableProgress[];

/** What follows from the text and the plan alone; large configs are taken apart once. */
type Unchanging = Pick<SyncConfigPartStatus, 'revision' | 'streams' | 'definitions'> & {
  readonly content: string;
  readonly patterns: readonly TablePattern[];
  readonly cut: readonly string[];
};

export function createVersionStatus(): (
  versions: readonly DeployedVersion[],
  progressOf: ProgressOf,
  bounds: Bounds,
) => SyncConfigPartStatus[] {
  let known = new Map<number, Unchanging>();
  return (versions, progressOf, bounds) => {
    known = new Map(
      versions.map((item) => {
        const former = known.get(item.version);
        // the plan of a version never changes, its words may
        return [item.version, former?.content === item.content ? former : unchanging(item)];
      }),
    );
    const newest = versions.filter(({ state }) => state !== 'stopped').toReversed();
    return bounds
      .list(newest, STATUS_LIMITS.versions, 'syncConfig')
      .map((version) => versionStatus(version, known.get(version.version)!, progressOf, bounds));
  };
}

function versionStatus(
  version: DeployedVersion,
  { revision, streams, definitions, patterns, cut }: Unchanging,
  progressOf: ProgressOf,
  bounds: Bounds,
): SyncConfigPartStatus {
  bounds.wereCut(cut);
  return {
    version: version.version,
    state: version.state as SyncConfigPartStatus['state'],
    revision,
    label: version.label === null ? null : nameText(version.label),
    createdAt: timeText(version.createdMs),
    activatedAt: version.activatedMs === null ? null : timeText(version.activatedMs),
    error: version.error === null ? null : messageText(version.error),
    streams,
    tables: patterns.map((pattern) => ({
      ...shownTable(readTable(pattern)),
      rows: rowsOf(
        pattern,
        version.streams.filter(({ source }) => source === pattern.source).flatMap((stream) => progressOf(stream)),
      ),
    })),
    definitions,
  };
}

function unchanging({ content, plan: text }: DeployedVersion): Unchanging {
  const plan = JSON.parse(text) as SyncPlan;
  const { list, cut } = createBounds();
  const patterns = list(plan.tables, STATUS_LIMITS.tables, 'syncConfig.tables');
  const places = new Map(patterns.map((pattern, at) => [placeOf(readTable(pattern)), at]));
  const definitions = list(definitionReads(plan), STATUS_LIMITS.definitions, 'syncConfig.definitions');
  return {
    content,
    revision: syncConfigRevision(content),
    streams: list(plan.streams, STATUS_LIMITS.streams, 'syncConfig.streams').map(({ name }) => nameText(name)),
    definitions: definitions.map(({ kind, identity, name, source, streams, tables }) => ({
      ...{ kind, identity, source, name: nameText(name) },
      streams: list(streams, STATUS_LIMITS.streams, 'syncConfig.definitions.streams').map(nameText),
      tables: tables.map((table) => places.get(placeOf(table))).filter((at) => at !== undefined),
    })),
    patterns,
    cut,
  };
}

const placeOf = ({ source, schema, name }: ReadTable): string => JSON.stringify([source, schema, name]);
const shownTable = ({ source, schema, name }: ReadTable): ReadTable => ({
  source: nameText(source),
  schema: nameText(schema),
  name: nameText(name),
});

/** Null when nothing of it was ever looked at, or by an earlier release, which kept no names. */
function rowsOf(pattern: TablePattern, tables: readonly TableProgress[]): number | null {
  const own = tables.filter(
    ({ schema, name }) =>
      schema !== undefined && name !== undefined && matchesTable(pattern, { source: pattern.source, schema, name }),
  );
  if (own.length === 0) return null;
  return own.reduce(
    (sum, { state, rowsCopied, rowsEstimated }) =>
      sum + (state === 'done' ? rowsCopied : Math.max(rowsCopied, rowsEstimated, 0)),
    0,
  );
}
