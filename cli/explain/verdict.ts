/** One sentence about whether the user gets the row, and the reasons, the nearest first. */
import type { DefinitionReport, RowExplanation, RowPlace, StreamReport } from '#core/sync-config/explain/contract.ts';
import { describeAccessReason, describeRowReason, listed } from '#core/sync-config/explain/describe.ts';
import { quoteName } from '#core/sync-config/explain/print-expression.ts';
import type { BucketNames } from './bucket-names.ts';
import { nameOf, type TableName } from './choose-table.ts';
import type {
  ClientsReport,
  ExplainRequest,
  ReplicationReport,
  SourceReport,
  StoredReport,
  Verdict,
} from './contract.ts';

export interface VerdictFacts {
  readonly request: ExplainRequest;
  readonly table: TableName;
  readonly session: { readonly refused: readonly string[] };
  readonly names: BucketNames;
  readonly checkpoint: string;
  readonly source: SourceReport;
  readonly queries: RowExplanation | null;
  /** The client's tables that are asked about, of those that the row may be in. */
  readonly clientTables: ReadonlySet<string>;
  readonly stored: readonly StoredReport[];
  readonly replication: ReplicationReport | null;
  readonly clients: ClientsReport;
}

/** Reasons that are told. */
const MOST_REASONS = 10;

export function verdictOf(all: VerdictFacts): Verdict {
  const { request, session, source } = all;
  const who = request.session.userId;
  if (all.queries === null || all.queries.streams.length === 0) return notRead(all);
  const { facts, queries, others } = asked(all, all.queries);
  const found = source.state === 'found' ? ofPresentRow(facts, queries) : ofUnknownRow(facts, queries);
  const verdict = { ...found, because: [...found.because, ...others] };
  const because = [...verdict.because, ...ofClients(facts, verdict)].slice(0, MOST_REASONS);
  if (session.refused.length === 0) return { ...verdict, because };
  const [refusal = '', ...most] = session.refused;
  return {
    gets: 'no',
    text: `${who} does not get ${nameOfRow(facts)}: the session is refused, ${refusal}.`,
    because: [
      ...(most.length === 0 ? [] : [`Most of them: ${most.join(', ')}.`]),
      ...(verdict.gets === 'no' ? [] : ['Without the limit:']),
      ...[verdict.text, ...because],
    ],
  };
}

/** Leaves out what is about other tables of the client, but says that the row is there too. */
function asked(
  facts: VerdictFacts,
  queries: RowExplanation,
): { readonly facts: VerdictFacts; readonly queries: RowExplanation; readonly others: readonly string[] } {
  const { clientTables, names, request } = facts;
  const isAsked = ({ objectType }: { readonly objectType: string | null }): boolean =>
    objectType === null || clientTables.has(objectType);
  const streams = queries.streams.map((stream) => ({
    ...stream,
    definitions: stream.definitions
      .map((definition) => ({ ...definition, rules: definition.rules.filter(isAsked) }))
      .filter(({ rules }) => rules.length > 0),
  }));
  const elsewhere = queries.places.filter((place) => !isAsked(place));
  const others = elsewhere.map(
    ({ stream, objectType, objectId, identity, key }) =>
      `As ${objectType}/${objectId}, ${request.session.userId} gets it through stream ${stream} (bucket ${names.name(identity, key)}).`,
  );
  const places = { places: queries.places.filter(isAsked), elsewhere: queries.elsewhere.filter(isAsked) };
  const about = { ...queries, ...places, streams: streams.filter(({ definitions }) => definitions.length > 0) };
  return { facts: { ...facts, queries: about, stored: facts.stored.filter(isAsked) }, queries: about, others };
}

function notRead({ request, table, source, queries }: VerdictFacts): Verdict {
  const who = request.session.userId;
  const asking = [...new Set((queries?.lookups ?? []).flatMap(({ streams }) => streams))];
  if (asking.length > 0) {
    const text = `${who} does not get it: table ${nameOf(table)} only decides who gets other rows (in ${listed(asking)}).`;
    return { gets: 'no', text, because: [] };
  }
  const text = `${who} does not get it: no query of the sync config reads table ${nameOf(table)}.`;
  return { gets: 'no', text, because: source.state === 'no-table' && source.reason !== null ? [source.reason] : [] };
}

/** `boats/b1` as clients have it, else as it was asked for. */
function nameOfRow({ request, queries, stored }: VerdictFacts): string {
  const [place] = [...(queries?.places ?? []), ...(queries?.elsewhere ?? [])];
  if (place !== undefined) return `${place.objectType}/${place.objectId}`;
  const known = stored.find(({ objectId }) => objectId !== null);
  return known === undefined ? `${request.table}/${request.id}` : `${known.objectType}/${known.objectId}`;
}

function ofPresentRow(facts: VerdictFacts, queries: RowExplanation): Verdict {
  const who = facts.request.session.userId;
  const { names, checkpoint, replication } = facts;
  const [first] = queries.places;
  if (first === undefined) {
    const text = `${who} does not get ${nameOfRow(facts)}`;
    const unknown = queries.streams.some(({ definitions }) => definitions.some(({ shared }) => shared === null));
    const reasons = streamReasons(facts, queries);
    const [nearest = 'no stream reads it.', ...others] = reasons;
    if (unknown)
      return {
        gets: 'unknown',
        text: `It is not known whether ${who} gets ${nameOfRow(facts)}: ${nearest}`,
        because: others,
      };
    return { gets: 'no', text: `${text}: ${nearest}`, because: others };
  }
  const held = facts.stored.filter((item) => item.held);
  const best = held.find(({ current }) => current === true) ?? held.find(({ state }) => state === 'put');
  if (best !== undefined) {
    const where = `through stream ${best.stream} (bucket ${best.bucket}, op ${best.op})`;
    const others = held
      .filter((item) => item !== best && item.state === 'put')
      .map(({ bucket, op }) => `${bucket}, op ${op}`);
    const because = others.length === 0 ? [] : [`It is also in ${listed(others)}.`];
    if (best.current === true) return { gets: 'yes', text: `${who} gets ${nameOfRow(facts)} ${where}.`, because };
    return {
      gets: 'outdated',
      text: `${who} gets ${nameOfRow(facts)} ${where}, but an earlier version than the source has now.`,
      because: [...because, ...replicationSentences(replication, checkpoint)],
    };
  }
  const bucket = names.name(first.identity, first.key);
  if (held.some(({ state }) => state === 'unfinished')) {
    const text = `${who} has bucket ${bucket}, where ${nameOfRow(facts)} belongs; it is too large to look for the row in all of it.`;
    return { gets: 'unknown', text, because: [] };
  }
  return {
    gets: 'not yet',
    text: `${who} does not get ${nameOfRow(facts)} yet: it belongs into bucket ${bucket}, which does not hold it at checkpoint ${checkpoint}.`,
    because: replicationSentences(replication, checkpoint),
  };
}

/** The row is not in the source, cannot be replicated, or nobody could be asked. */
function ofUnknownRow(facts: VerdictFacts, queries: RowExplanation): Verdict {
  const { request, source, stored, checkpoint, replication } = facts;
  const who = request.session.userId;
  const name = nameOfRow(facts);
  const reason = source.reason ?? '';
  const put = stored.find((item) => item.held && item.state === 'put');
  const isUnavailable = source.state === 'unavailable';
  if (put !== undefined) {
    const where = `through stream ${put.stream} (bucket ${put.bucket}, op ${put.op})`;
    if (isUnavailable)
      return {
        gets: 'yes',
        text: `${who} gets ${name} ${where}.`,
        because: [`As storage has it; the source could not be asked: ${reason}`],
      };
    return {
      gets: 'outdated',
      text: `${who} still gets ${name} ${where}.`,
      because: [reason, ...replicationSentences(replication, checkpoint)],
    };
  }
  const removed = stored
    .filter(({ state }) => state === 'removed')
    .map(({ bucket, op }) => `It was removed from bucket ${bucket} with op ${op}.`);
  const unfinished = stored.some((item) => item.held && item.state === 'unfinished');
  const elsewhere = queries.elsewhere.length > 0 ? streamReasons(facts, queries) : [];
  if (!isUnavailable)
    return {
      gets: 'no',
      text: `${who} does not get ${name}: ${lowerFirst(reason)}`,
      because: [...removed, ...elsewhere],
    };
  const asked = `The source could not be asked: ${reason}`;
  if (unfinished)
    return {
      gets: 'unknown',
      text: `It is not known whether ${who} gets ${name}: its buckets are too large to look through.`,
      because: [asked],
    };
  if (elsewhere.length > 0)
    return {
      gets: 'no',
      text: `${who} does not get ${name}: ${elsewhere[0]}`,
      because: [...elsewhere.slice(1), asked],
    };
  return {
    gets: 'no',
    text: `${who} does not get ${name}: no bucket that ${who} has holds it at checkpoint ${checkpoint}.`,
    because: [...removed, `Why is not known. ${asked}`],
  };
}

/** Sentences about each stream that reads the table; what came nearest to giving the row first. */
function streamReasons(facts: VerdictFacts, queries: RowExplanation): string[] {
  const ranked = queries.streams.flatMap((stream) =>
    stream.definitions.flatMap((definition) => definitionReasons(facts, stream, definition, queries.elsewhere)),
  );
  const sentences = ranked.toSorted((a, b) => b.rank - a.rank).map(({ text }) => text);
  return [...new Set(sentences)].slice(0, MOST_REASONS);
}

interface RankedReason {
  readonly rank: number;
  readonly text: string;
}

function definitionReasons(
  { request, names }: VerdictFacts,
  stream: StreamReport,
  { identity, rules, access, butForTheRow }: DefinitionReport,
  elsewhere: readonly RowPlace[],
): RankedReason[] {
  const who = request.session.userId;
  const name = `${stream.legacy ? 'bucket definition' : 'stream'} ${quoteName(stream.name)}`;
  const places = elsewhere.filter((place) => place.identity === identity);
  if (places.length === 0) {
    return rules.flatMap(({ because }) => {
      const [first] = because;
      if (first === undefined) return [];
      const all = because.map(describeRowReason).join('; ');
      if (butForTheRow) return [{ rank: 6, text: `${name} would give it, but ${all}.` }];
      const rank = stream.subscribed.length > 0 ? 2 : 1;
      return [{ rank, text: `${name} does not select it, because ${all}.` }];
    });
  }
  const buckets = listed(places.map(({ key }) => names.name(identity, key)));
  const where = `${name} selects it for bucket ${buckets}`;
  if (stream.subscribed.length === 0) {
    const why = !stream.autoSubscribe
      ? `${who} does not subscribe to the stream, which is not auto_subscribe`
      : 'the session asks for no default streams (include_defaults is false)';
    const errors = stream.errors.length === 0 ? '' : ` (${stream.errors.join(' ')})`;
    return [{ rank: 4, text: `${where}, but ${why}${errors}.` }];
  }
  const own = [...new Set(access.flatMap(({ keys }) => keys.map((key) => names.name(identity, key))))];
  const count = access.reduce((sum, { keyCount }) => sum + keyCount, 0);
  const has = own.length === 0 ? 'no bucket of it' : listed(own, Math.max(count, own.length));
  const reasons = [
    ...new Set(access.flatMap(({ because }) => because.map((reason) => describeAccessReason(reason, who)))),
  ];
  return [{ rank: 5, text: `${where}; ${who} has ${has}, because ${reasons.join('; ')}.` }];
}

function replicationSentences(replication: ReplicationReport | null, checkpoint: string): string[] {
  if (replication === null) return ['Nothing replicates this source.'];
  const last = replication.lastCommitAt === null ? 'nothing yet' : `last at ${replication.lastCommitAt}`;
  const copy =
    replication.tableState !== null && replication.tableState !== 'done'
      ? ` The copy of the table is ${replication.tableState}.`
      : '';
  return [`Replication committed ${last}; storage is at checkpoint ${checkpoint}.${copy}`, ...replication.findings];
}

/** Whether what storage has was sent to the clients that are connected. */
function ofClients({ clients, stored }: VerdictFacts, { gets }: Verdict): string[] {
  if (gets !== 'yes' && gets !== 'outdated') return [];
  const newest = Math.max(...stored.filter((item) => item.held && item.op !== null).map(({ op }) => Number(op)));
  return clients.clients
    .filter(({ connectedSince }) => connectedSince !== null)
    .map(({ clientId, completed }) => {
      const client = `Client ${JSON.stringify(clientId)}`;
      if (completed === null) return `${client} is connected, and has no complete checkpoint of this session yet.`;
      return Number(completed) >= newest
        ? `${client} is connected, and was sent checkpoint ${completed}, which has it.`
        : `${client} is connected, and was sent checkpoint ${completed} last, which is before op ${newest}.`;
    });
}

const lowerFirst = (text: string): string =>
  /^[A-Z][a-z ]/.test(text) ? text.slice(0, 1).toLowerCase() + text.slice(1) : text;
