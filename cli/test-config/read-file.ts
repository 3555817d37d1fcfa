/** Text of a test file -> what it says, with every finding reported. */
import { isScalar, type Document } from 'yaml';
import { isCodedError } from '#core/platform/errors/coded-error.ts';
import { DEFAULT_MAX_BUCKETS_PER_CONNECTION, DEFAULT_MAX_PARAMETER_QUERY_RESULTS } from '#core/platform/limits.ts';
import type { Diagnostics } from '#core/sync-config/compile/diagnostics.ts';
import type { Entry } from '#core/sync-config/yaml/node-reader.ts';
import { parseYaml } from '#core/sync-config/yaml/parse-document.ts';
import type { ConfigReference, SourceKind, TestFile } from './contract.ts';
import { createFileReader, type FileReader } from './file-reader.ts';
import { readTables, type KnownSources } from './read-tables.ts';
import { readTests } from './read-tests.ts';

/** Longest accepted file, in UTF-16 units. */
const MAX_LENGTH = 5_000_000;

/** Null exactly when there is an error among the findings. Never throws for what a file says. */
export function readTestFile(text: string, diagnostics: Diagnostics): TestFile | null {
  if (text.length > MAX_LENGTH) {
    diagnostics.report('error', 'PSYNC_R1304', `The test file is longer than ${MAX_LENGTH} characters.`, 0, 1);
    return null;
  }
  const document = parseYaml(text, diagnostics, { intAsBigInt: true, customTags: ['binary'] });
  if (document === null) return null;
  try {
    const file = readTopLevel(document, createFileReader(document, text, diagnostics));
    return diagnostics.errorCount() > 0 ? null : file;
  } catch (error) {
    if (!isCodedError(error, 'PSYNC_R1304')) throw error;
    diagnostics.report('error', 'PSYNC_R1304', error.description, 0, 1);
    return null;
  }
}

const TOP_LEVEL = ['sync_config', 'sync_config_content', 'source', 'sources', 'limits', 'tables', 'tests'];

function readTopLevel(document: Document, reader: FileReader): TestFile | null {
  const entries = reader.entries(document.contents, 'The test file', null);
  if (entries === null) return null;
  for (const entry of entries) {
    if (!TOP_LEVEL.includes(entry.key.text)) reader.unknownKey(entry, 'the test file', TOP_LEVEL);
  }
  const of = (name: string): Entry | undefined => entries.find(({ key }) => key.text === name);
  const config = readConfigReference(of('sync_config'), of('sync_config_content'), reader);
  const sources = readSources(of('source'), of('sources'), reader);
  const tablesEntry = of('tables');
  const tables = tablesEntry === undefined ? [] : readTables(tablesEntry, sources, reader);
  const limits = readLimits(of('limits'), reader);
  const testsEntry = of('tests');
  if (testsEntry === undefined) reader.error('PSYNC_R1203', 'A test file needs "tests".', null);
  const tests = testsEntry === undefined ? [] : readTests(testsEntry, reader);
  if (config === null) return null;
  return { config, sources: sources.kinds, defaultSource: sources.defaultSource, tables, limits, tests };
}

function readConfigReference(
  file: Entry | undefined,
  content: Entry | undefined,
  reader: FileReader,
): ConfigReference | null {
  if (file !== undefined && content !== undefined) {
    reader.error('PSYNC_R1204', 'There are both "sync_config" and "sync_config_content"; keep one.', content.key);
    return null;
  }
  if (content !== undefined) {
    if (reader.text(content) === null) return null;
    const found = reader.query(content.value, '"sync_config_content"', content.key);
    return found === null ? null : { kind: 'inline', text: found.sql, locate: found.locate };
  }
  if (file === undefined) {
    reader.error('PSYNC_R1203', 'A test file needs "sync_config", the path of a sync config.', null);
    return null;
  }
  const path = reader.text(file);
  return path === null ? null : { kind: 'file', path, place: reader.place(file.value, file.key) };
}

const KINDS: readonly SourceKind[] = ['postgresql', 'mongodb', 'mysql', 'mssql', 'convex'];

/** `source`: one of this kind, called default, and others of the same kind where tables name them. `sources`: these and no others. */
function readSources(one: Entry | undefined, several: Entry | undefined, reader: FileReader): KnownSources {
  if (several === undefined) {
    const kind = one === undefined ? 'postgresql' : (readKind(one, reader) ?? 'postgresql');
    return { kinds: new Map([['default', kind]]), defaultSource: 'default', kindOfOthers: kind };
  }
  if (one !== undefined) reader.error('PSYNC_R1204', 'There are both "source" and "sources"; keep one.', several.key);
  const kinds = new Map<string, SourceKind>();
  for (const entry of reader.entries(several.value, '"sources"', several.key) ?? []) {
    kinds.set(entry.key.text, readKind(entry, reader) ?? 'postgresql');
  }
  const [first] = kinds.keys();
  if (first === undefined)
    reader.error('PSYNC_R1203', '"sources" must name a connection: its tag and kind.', several.key);
  return { kinds, defaultSource: kinds.has('default') ? 'default' : (first ?? 'default'), kindOfOthers: null };
}

function readKind(entry: Entry, reader: FileReader): SourceKind | null {
  const target = reader.attempt(() => reader.values.follow(entry.value), entry.key);
  const value = isScalar(target) ? target.value : null;
  const kind = KINDS.find((known) => known === value);
  if (kind !== undefined) return kind;
  reader.error(
    'PSYNC_R1201',
    `"${entry.key.text}" must be one of ${KINDS.join(', ')}.`,
    target?.range ? target : entry.key,
  );
  return null;
}

function readLimits(entry: Entry | undefined, reader: FileReader): TestFile['limits'] {
  let maxBuckets = DEFAULT_MAX_BUCKETS_PER_CONNECTION;
  let maxParameterResults = DEFAULT_MAX_PARAMETER_QUERY_RESULTS;
  const entries = entry === undefined ? [] : (reader.entries(entry.value, '"limits"', entry.key) ?? []);
  for (const limit of entries) {
    if (limit.key.text === 'max_buckets_per_connection') maxBuckets = reader.whole(limit, 1) ?? maxBuckets;
    else if (limit.key.text === 'max_parameter_query_results')
      maxParameterResults = reader.whole(limit, 1) ?? maxParameterResults;
    else reader.unknownKey(limit, '"limits"', ['max_buckets_per_connection', 'max_parameter_query_results']);
  }
  return { maxBuckets, maxParameterResults };
}
