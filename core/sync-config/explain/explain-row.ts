import type { BucketReason, ReadLookups, RowSink, SessionRequest } from '../contract.ts';
import { matchesTable } from '../evaluate/matches-table.ts';
import { valueToText } from '../evaluate/numbers.ts';
import { outputColumns } from '../evaluate/output.ts';
import { selectStreams } from '../evaluate/session-resolver.ts';
import type { SessionEnv } from '../evaluate/session-parameters.ts';
import { createTableEvaluator } from '../evaluate/table-evaluator.ts';
import type { PlanBucket, PlanBucketRule, PlanLookup, PlanStream, SyncPlan } from '../plan.ts';
import type { SourceRow, SourceTable } from '../values.ts';
import type {
  AccessReport,
  DefinitionReport,
  LookupReport,
  RowExplanation,
  RowPlace,
  RowReason,
  RuleReport,
  StreamReport,
} from './contract.ts';
import { evaluated, printCut } from './evaluated.ts';
import { explainAccess } from './explain-access.ts';
import { printOptionsOf, rowReasons, rowValues, type RuleContext } from './explain-rule.ts';
import { MOST_SHOWN } from './explain-step.ts';
import { cut } from './print-expression.ts';

export interface RowQuestion {
  readonly plan: SyncPlan;
  readonly table: SourceTable;
  /** Null: its values are not known; then no query is asked for reasons. */
  readonly row: SourceRow | null;
  /** Where the row is, when its values are not known. */
  readonly known?: readonly KnownPlace[];
  readonly request: SessionRequest;
  readonly read: ReadLookups;
}

/** A bucket that holds the row, as somebody knows who has not its values. */
export type KnownPlace = Pick<RowPlace, 'identity' | 'key' | 'objectType' | 'objectId'>;

/** Places that are listed, of either kind. */
const MOST_PLACES = 100;

/**
 * What every query that reads the table makes of the row, and what the session has of the same queries. The limits of a session (S-384) do
 * not apply: only these queries are resolved, and their results are not multiplied out. Rejects as `read` does.
 */
export async function explainRow(question: RowQuestion): Promise<RowExplanation> {
  const { plan, table, request } = question;
  const streams: StreamReport[] = [];
  const otherStreams: string[] = [];
  const places: RowPlace[] = [];
  const elsewhere: RowPlace[] = [];
  const { evaluations, resolvedStreams } = selectStreams(
    plan.streams.map((stream) => ({ plan: stream })),
    request,
  );
  for (const stream of plan.streams) {
    const own = bucketsReading(plan, stream, table);
    if (own.length === 0) {
      otherStreams.push(stream.name);
      continue;
    }
    const chosen = evaluations.filter((evaluation) => evaluation.stream.plan === stream);
    const definitions: DefinitionReport[] = [];
    for (const bucket of own) {
      const explained = await explainDefinition(question, stream, bucket, chosen);
      definitions.push(explained.report);
      for (const place of explained.places) {
        const target = explained.has(place.key) ? places : elsewhere;
        if (target.length < MOST_PLACES) target.push(place);
      }
    }
    const errors = resolvedStreams.find(({ name }) => name === stream.name)?.errors ?? [];
    streams.push({
      name: stream.name,
      legacy: stream.legacy,
      autoSubscribe: stream.autoSubscribe,
      subscribed: chosen.map(({ reason }) => throughOf(reason)),
      errors: errors.map(({ message }) => message),
      definitions,
    });
  }
  const reading = { source: table.source, schema: table.schema, name: table.name };
  return { table: reading, streams, otherStreams, lookups: explainLookups(question), places, elsewhere };
}

const throughOf = (reason: BucketReason): 'default' | number => ('sub' in reason ? reason.sub : 'default');

function bucketsReading(plan: SyncPlan, stream: PlanStream, table: SourceTable): PlanBucket[] {
  const indexes = new Set(stream.queriers.map(({ bucket }) => bucket));
  return [...indexes].flatMap((index) => {
    const bucket = plan.buckets[index];
    return bucket?.rules.some((rule) => matchesTable(rule.table, table)) === true ? [bucket] : [];
  });
}

interface ExplainedDefinition {
  readonly report: DefinitionReport;
  readonly places: readonly RowPlace[];
  /** Does the session have the bucket of this key? */
  has(key: string): boolean;
}

async function explainDefinition(
  question: RowQuestion,
  stream: PlanStream,
  bucket: PlanBucket,
  chosen: readonly { readonly reason: BucketReason; readonly env: SessionEnv }[],
): Promise<ExplainedDefinition> {
  const { plan, table, read } = question;
  const rules = bucket.rules
    .filter((rule) => matchesTable(rule.table, table))
    .map((rule) => explainBucketRule(question, stream, bucket, rule));
  const rowKeys = new Set(rules.flatMap(({ places }) => places.map(({ key }) => key)));
  const otherwise = new Set(rowKeys.size > 0 ? [] : rules.flatMap((rule) => rule.otherwise));
  // of several that take the row, one stands for its values
  const taking = rules.find(({ places }) => places.length > 0) ?? rules[0];
  const access: AccessReport[] = [];
  const shared = new Set<string>();
  let unknown = false;
  let wouldShare = false;
  for (const { reason, env } of chosen) {
    for (const querier of stream.queriers) {
      if (plan.buckets[querier.bucket] !== bucket) continue;
      const explained = await explainAccess({
        plan,
        querier,
        env,
        through: throughOf(reason),
        legacy: stream.legacy,
        read,
        rowKeys,
        otherwise,
        rowValues: taking?.rule.keys ?? [],
        rowPrint: printOptionsOf(taking?.rule ?? bucket.rules[0]!, stream.legacy),
      });
      access.push(explained.report);
      wouldShare ||= explained.wouldShare;
      if (explained.shared === null) unknown = true;
      else for (const key of explained.shared) shared.add(key);
    }
  }
  return {
    report: {
      identity: bucket.identity,
      name: bucket.name,
      rules: rules.map(({ report }) => report),
      access,
      shared: unknown && shared.size === 0 ? null : [...shared].slice(0, MOST_SHOWN),
      butForTheRow: wouldShare,
    },
    places: [...distinctPlaces(rules.flatMap(({ places }) => places))],
    has: (key) => shared.has(key),
  };
}

/** Several queries may put the same row into the same bucket. */
function distinctPlaces(places: readonly RowPlace[]): Iterable<RowPlace> {
  const byName = new Map<string, RowPlace>();
  for (const place of places) {
    const name = JSON.stringify([place.key, place.objectType, place.objectId]);
    if (!byName.has(name)) byName.set(name, place);
  }
  return byName.values();
}

interface ExplainedRule {
  readonly rule: PlanBucketRule;
  readonly report: RuleReport;
  readonly places: readonly RowPlace[];
  /** Keys of buckets that the row would be in, if it had an id and passed the filters. */
  readonly otherwise: readonly string[];
}

function explainBucketRule(
  question: RowQuestion,
  stream: PlanStream,
  bucket: PlanBucket,
  rule: PlanBucketRule,
): ExplainedRule {
  const { plan, table, row } = question;
  const print = printOptionsOf(rule, stream.legacy);
  const id = outputColumns(rule.outputs, table).get('id')?.value ?? null;
  const objectType = rule.objectType ?? table.name;
  const report = {
    objectType,
    objectId: null as string | null,
    id: id === null ? 'id' : printCut(id, print),
    conditions: rule.filters.map((filter) => printCut(filter, print)),
    compared: rule.keys.map((key) => printCut(key, print)),
    keys: [] as string[],
    keyCount: 0,
    because: [] as RowReason[],
  };
  const origin = { stream: stream.name, definition: bucket.name, identity: bucket.identity };
  const taken = (places: readonly RowPlace[]): Pick<RuleReport, 'keys' | 'keyCount'> => ({
    keys: places.slice(0, MOST_SHOWN).map(({ key }) => key),
    keyCount: places.length,
  });
  if (row === null) {
    const known = (question.known ?? []).filter(
      (at) => at.identity === bucket.identity && at.objectType === objectType,
    );
    const places = known.map((at): RowPlace => ({ ...origin, ...at, data: null }));
    return {
      rule,
      report: { ...report, ...taken(places), objectId: places[0]?.objectId ?? null },
      places,
      otherwise: [],
    };
  }

  const context = { plan, table, row, legacy: stream.legacy };
  const { valueOf } = rowValues(rule, context);
  const idValue = id === null ? null : valueOf(id);
  const places: RowPlace[] = [];
  let refused: RowReason | null = null;
  evaluateRow({ ...plan, buckets: [{ ...bucket, rules: [rule] }], lookups: [] }, table, row, {
    bucket: (_definition, key, type, objectId, data) =>
      places.push({ ...origin, key, objectType: type, objectId, data }),
    rejected: (_definition, code, message) => {
      const isId = idValue === null;
      const of = id === null ? { sql: 'id', value: 'NULL', reads: [] } : evaluated(id, valueOf, print);
      refused ??= isId ? { kind: 'null-id', ...of } : { kind: 'not-syncable', code, message };
    },
  });
  const found = { ...report, ...taken(places), objectId: idValue === null ? null : cut(valueToText(idValue)) };
  if (places.length > 0) return { rule, report: found, places, otherwise: [] };
  const because = refused === null ? rowReasons(rule, [], context) : [refused];
  return { rule, report: { ...found, because }, places, otherwise: keysOtherwise(question, bucket, rule, row) };
}

function keysOtherwise(
  { plan, table }: RowQuestion,
  bucket: PlanBucket,
  rule: PlanBucketRule,
  row: SourceRow,
): string[] {
  const id = { kind: 'column', name: 'id', value: { kind: 'text', value: '' } } as const;
  const relaxed = { ...bucket, rules: [{ ...rule, filters: [], outputs: [id] }] };
  const keys: string[] = [];
  evaluateRow({ ...plan, buckets: [relaxed], lookups: [] }, table, row, {
    bucket: (_definition, key) => void keys.push(key),
  });
  return keys;
}

/** What a row contributes to the definitions of a plan; of what nobody listens to nothing is told. */
function evaluateRow(plan: SyncPlan, table: SourceTable, row: SourceRow, sink: Partial<RowSink>): void {
  createTableEvaluator({ ...plan, events: [] }, table)?.evaluate(row, {
    bucket: () => {},
    lookup: () => {},
    writeCheckpoint: () => {},
    rejected: () => {},
    ...sink,
  });
}

/** What the row says about who gets which rows. */
function explainLookups({ plan, table, row }: RowQuestion): LookupReport[] {
  const reading = plan.lookups.filter(({ rules }) => rules.some((rule) => matchesTable(rule.table, table)));
  return reading.map((lookup): LookupReport => {
    const entries: { key: string; values: string }[] = [];
    const streams = streamsAsking(plan, plan.lookups.indexOf(lookup));
    if (row === null) return { name: lookup.name, streams, entries, because: [] };
    evaluateRow({ ...plan, buckets: [], lookups: [lookup] }, table, row, {
      lookup: (_definition, key, values) => {
        if (entries.length < MOST_SHOWN) entries.push({ key, values: cut(values) });
      },
    });
    const because = entries.length > 0 ? [] : lookupReasons(lookup, { plan, table, row, legacy: false });
    return { name: lookup.name, streams, entries, because };
  });
}

function lookupReasons(lookup: PlanLookup, context: RuleContext): RowReason[] {
  return lookup.rules
    .filter((rule) => matchesTable(rule.table, context.table))
    .flatMap((rule) => rowReasons(rule, rule.outputs, context));
}

function streamsAsking({ streams }: SyncPlan, lookup: number): string[] {
  return streams
    .filter(({ queriers }) =>
      queriers.some(({ components }) =>
        components.some(({ steps }) => steps.some((step) => step.kind === 'lookup' && step.lookup === lookup)),
      ),
    )
    .map(({ name }) => name);
}
