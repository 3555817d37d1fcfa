/** YAML text -> structure, with every finding reported (S-28…S-60, S-216…S-219, S-485). */
import type { Diagnostics } from '../compile/diagnostics.ts';
import type { ValueOptions } from '../plan.ts';
import { createNodeReader, type Entry, type NodeReader } from './node-reader.ts';
import { parseYaml } from './parse-document.ts';
import type { ConfigStructure, CteConfig, EventConfig, LegacyConfig, QueryText, StreamConfig } from './structure.ts';

/** Longest accepted file, in UTF-16 units. */
const MAX_LENGTH = 1_000_000;

/** Null when nothing can be read at all. Never throws. */
export function readConfig(text: string, diagnostics: Diagnostics): ConfigStructure | null {
  if (text.length > MAX_LENGTH) {
    diagnostics.report('error', 'PSYNC_R1102', `The sync config is longer than ${MAX_LENGTH} characters.`, 0, 1);
    return null;
  }
  const document = parseYaml(text, diagnostics);
  if (document === null) return null;
  const reader = createNodeReader(document, text, diagnostics);
  const entries = reader.entries(document.contents, 'The sync config', null);
  return entries === null ? null : readTopLevel(entries, reader);
}

const TOP_LEVEL = ['config', 'with', 'streams', 'bucket_definitions', 'event_definitions'];

function readTopLevel(entries: readonly Entry[], reader: NodeReader): ConfigStructure {
  let options: Options = readOptions([], reader);
  let ctes: CteConfig[] = [];
  let streams: StreamConfig[] = [];
  let definitions: LegacyConfig[] = [];
  let events: EventConfig[] = [];
  // what could not be read may be what else is missing
  let unclear = false;
  for (const entry of entries) {
    const before = reader.errorCount();
    switch (entry.key.text) {
      case 'config':
        options = readOptions(reader.entries(entry.value, '"config"', entry.key) ?? [], reader);
        unclear ||= reader.errorCount() > before;
        break;
      case 'with':
        ctes = readCtes(entry, reader);
        break;
      case 'streams':
        streams = readNamed(entry, reader, readStream);
        break;
      case 'bucket_definitions':
        definitions = readNamed(entry, reader, readDefinition);
        break;
      case 'event_definitions':
        events = readEvents(entry, reader);
        break;
      default:
        unknownKey(entry, 'the sync config', TOP_LEVEL, reader);
        unclear = true;
    }
  }
  checkTopLevel(entries, { streams, definitions, edition: options.edition, unclear }, reader);
  const { valueOptions, fixedJsonExtract, versionedBucketIds } = options;
  return { valueOptions, fixedJsonExtract, versionedBucketIds, ctes, streams, definitions, events };
}

interface TopLevel {
  readonly streams: readonly StreamConfig[];
  readonly definitions: readonly LegacyConfig[];
  readonly edition: number | null;
  readonly unclear: boolean;
}

function checkTopLevel(
  entries: readonly Entry[],
  { streams, definitions, edition, unclear }: TopLevel,
  reader: NodeReader,
): void {
  if (!entries.some(({ key }) => key.text === 'streams' || key.text === 'bucket_definitions')) {
    const message = 'The sync config has neither "streams" nor "bucket_definitions".';
    reader.report(unclear ? 'follow-up' : 'error', 'PSYNC_R1209', message, entries[0]?.key ?? null);
  }
  const names = new Set(streams.map(({ name }) => name.text));
  for (const { name } of definitions) {
    if (names.has(name.text))
      reader.error('PSYNC_R1211', `"${name.text}" is also the name of a stream; rename one of them.`, name);
  }
  const key = entries.find((entry) => entry.key.text === 'streams')?.key;
  if (key === undefined || edition !== null || unclear) return;
  const message = 'Streams need an edition; without one values keep their legacy form. Add "config: { edition: 3 }".';
  reader.warning('PSYNC_R1210', message, key);
}

/** A key that is missing beside one that is not known has probably been misspelt. */
const missingBeside = (unknown: boolean): 'error' | 'follow-up' => (unknown ? 'follow-up' : 'error');

function unknownKey(entry: Entry, where: string, known: readonly string[], reader: NodeReader): void {
  reader.error('PSYNC_R1202', `Unknown key "${entry.key.text}" in ${where}; known are ${known.join(', ')}.`, entry.key);
}

interface Options {
  readonly edition: number | null;
  readonly valueOptions: ValueOptions;
  readonly fixedJsonExtract: boolean;
  readonly versionedBucketIds: boolean;
}
const SWITCHES = ['timestamps_iso8601', 'versioned_bucket_ids', 'fixed_json_extract', 'custom_postgres_types'];
const OPTIONS = [
  'edition',
  ...SWITCHES,
  'timestamp_max_precision',
  'storage_version',
  'unstable_sqlite_expression_engine',
];
const PRECISIONS = ['seconds', 'milliseconds', 'microseconds', 'nanoseconds'] as const;

/** Edition and compatibility options; an explicit option wins over the edition (S-36…S-50). */
function readOptions(entries: readonly Entry[], reader: NodeReader): Options {
  let edition: number | null = null;
  const switches = new Map<string, boolean>();
  let precision: { entry: Entry; value: ValueOptions['timestampMaxPrecision'] } | null = null;
  const before = reader.errorCount();
  for (const entry of entries) {
    const name = entry.key.text;
    if (name === 'edition') {
      edition = reader.integer(entry);
      if (edition !== null && (edition < 1 || edition > 3)) {
        reader.error('PSYNC_R1206', `Edition ${edition} is not known; known are 1, 2 and 3.`, entry.value);
      }
    } else if (SWITCHES.includes(name)) {
      const value = reader.boolean(entry);
      if (value !== null) switches.set(name, value);
    } else if (name === 'timestamp_max_precision') {
      const value = reader.text(entry);
      const known = PRECISIONS.find((item) => item === value);
      if (value !== null && known === undefined) {
        reader.error('PSYNC_R1207', `"${value}" is not a precision; known are ${PRECISIONS.join(', ')}.`, entry.value);
      }
      precision = { entry, value: known ?? null };
    } else if (name === 'storage_version') {
      if (reader.integer(entry) !== null)
        withoutEffect(entry, 'the storage knows the versions of its format itself', reader);
    } else if (name === 'unstable_sqlite_expression_engine') {
      if (reader.boolean(entry) !== null) withoutEffect(entry, 'expressions always have the results of SQLite', reader);
    } else {
      unknownKey(entry, '"config"', OPTIONS, reader);
    }
  }
  const on = (name: string): boolean => switches.get(name) ?? (edition ?? 1) >= 2;
  const timestampsIso8601 = on('timestamps_iso8601');
  if (precision !== null && !timestampsIso8601 && reader.errorCount() === before) {
    reader.warning(
      'PSYNC_R1208',
      'timestamp_max_precision has no effect without timestamps_iso8601.',
      precision.entry.key,
    );
  }
  return {
    edition,
    valueOptions: {
      timestampsIso8601,
      timestampMaxPrecision: timestampsIso8601 ? (precision?.value ?? null) : null,
      customPostgresTypes: on('custom_postgres_types'),
    },
    fixedJsonExtract: on('fixed_json_extract'),
    versionedBucketIds: on('versioned_bucket_ids'),
  };
}

/** Options of the service that is replaced, which configs in the field have (S-690, S-691). */
function withoutEffect(entry: Entry, reason: string, reader: NodeReader): void {
  reader.warning('PSYNC_R1212', `${entry.key.text} has no effect: ${reason}. Remove it.`, entry.key);
}

function readNamed<T>(
  entry: Entry,
  reader: NodeReader,
  read: (entry: Entry, entries: Entry[], reader: NodeReader) => T,
): T[] {
  const named = reader.entries(entry.value, `"${entry.key.text}"`, entry.key) ?? [];
  return named.flatMap((item) => {
    const entries = reader.entries(item.value, `"${item.key.text}"`, item.key);
    return entries === null ? [] : [read(item, entries, reader)];
  });
}

/** What streams and bucket definitions have in common. */
function readCommon(entry: Entry, reader: NodeReader, common: { priority: number; acceptDangerous: boolean }): boolean {
  if (entry.key.text === 'priority') {
    const priority = reader.integer(entry);
    if (priority !== null && (priority < 0 || priority > 3)) {
      reader.error('PSYNC_R1205', `Priority ${priority} is not possible; give 0 (first) to 3 (last).`, entry.value);
    } else if (priority !== null) {
      common.priority = priority;
    }
    return true;
  }
  if (entry.key.text !== 'accept_potentially_dangerous_queries') return false;
  common.acceptDangerous = reader.boolean(entry) ?? false;
  return true;
}

const STREAM_KEYS = ['query', 'queries', 'with', 'auto_subscribe', 'priority', 'accept_potentially_dangerous_queries'];

function readStream(stream: Entry, entries: readonly Entry[], reader: NodeReader): StreamConfig {
  const common = { priority: 3, acceptDangerous: false };
  let autoSubscribe = false;
  let ctes: CteConfig[] = [];
  let single: Entry | null = null;
  let several: Entry | null = null;
  let queries: QueryText[] = [];
  let unknown = false;
  for (const entry of entries) {
    const name = entry.key.text;
    if (readCommon(entry, reader, common)) continue;
    if (name === 'auto_subscribe') autoSubscribe = reader.boolean(entry) ?? false;
    else if (name === 'with') ctes = readCtes(entry, reader);
    else if (name === 'query') single = entry;
    else if (name === 'queries') several = entry;
    else {
      unknownKey(entry, `stream "${stream.key.text}"`, STREAM_KEYS, reader);
      unknown = true;
    }
  }
  if (single !== null) {
    const query = reader.query(single.value, '"query"', single.key);
    if (query !== null) queries = [query];
  }
  if (single !== null && several !== null) {
    reader.error('PSYNC_R1204', `Stream "${stream.key.text}" has both "query" and "queries"; keep one.`, several.key);
  } else if (several !== null) {
    queries = reader.queries(several, 'An item of "queries"');
  } else if (single === null) {
    const message = `Stream "${stream.key.text}" needs "query" or "queries".`;
    reader.report(missingBeside(unknown), 'PSYNC_R1203', message, stream.key);
  }
  return { name: stream.key, autoSubscribe, ...common, ctes, queries };
}

function readCtes(entry: Entry, reader: NodeReader): CteConfig[] {
  const entries = reader.entries(entry.value, '"with"', entry.key) ?? [];
  return entries.flatMap(({ key, value }) => {
    const query = reader.query(value, `"${key.text}"`, key);
    return query === null ? [] : [{ name: key, query }];
  });
}

const DEFINITION_KEYS = ['parameters', 'data', 'priority', 'accept_potentially_dangerous_queries'];

function readDefinition(definition: Entry, entries: readonly Entry[], reader: NodeReader): LegacyConfig {
  const common = { priority: 3, acceptDangerous: false };
  let parameters: QueryText[] = [];
  let data: QueryText[] | null = null;
  let unknown = false;
  for (const entry of entries) {
    if (readCommon(entry, reader, common)) continue;
    if (entry.key.text === 'parameters') parameters = reader.queries(entry, 'A parameter query', 'or none');
    else if (entry.key.text === 'data') data = reader.queries(entry, 'A data query');
    else {
      unknownKey(entry, `bucket definition "${definition.key.text}"`, DEFINITION_KEYS, reader);
      unknown = true;
    }
  }
  if (data === null) {
    const message = `Bucket definition "${definition.key.text}" needs "data".`;
    reader.report(missingBeside(unknown), 'PSYNC_R1203', message, definition.key);
  }
  return { name: definition.key, ...common, parameters, data: data ?? [] };
}

function readEvents(entry: Entry, reader: NodeReader): EventConfig[] {
  const named = reader.entries(entry.value, '"event_definitions"', entry.key) ?? [];
  return named.flatMap((item) => {
    const name = item.key.text;
    if (name !== 'write_checkpoints' && name !== 'checkpoint_requests') {
      unknownKey(item, '"event_definitions"', ['write_checkpoints', 'checkpoint_requests'], reader);
      return [];
    }
    let payloads: QueryText[] | null = null;
    const parts = reader.entries(item.value, `"${name}"`, item.key);
    for (const part of parts ?? []) {
      if (part.key.text === 'payloads') payloads = reader.queries(part, 'An item of "payloads"');
      else unknownKey(part, `event "${name}"`, ['payloads'], reader);
    }
    if (payloads === null) {
      const unknown = parts === null || parts.length > 0;
      reader.report(missingBeside(unknown), 'PSYNC_R1203', `Event "${name}" needs "payloads".`, item.key);
    }
    return [{ name, payloads: payloads ?? [] }];
  });
}
