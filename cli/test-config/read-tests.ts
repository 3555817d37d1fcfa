/** `tests:` of a test file. */
import { isMap, type Node } from 'yaml';
import type { SessionRequest } from '#core/sync-config/contract.ts';
import { renderValue } from '#core/sync-config/evaluate/output.ts';
import { valueToText } from '#core/sync-config/evaluate/numbers.ts';
import type { Entry } from '#core/sync-config/yaml/node-reader.ts';
import type { Key } from '#core/sync-config/yaml/structure.ts';
import type {
  ExpectedRow,
  ExpectedStream,
  ExpectedTable,
  ExpectedValue,
  ForbiddenTable,
  Place,
  TestCase,
} from './contract.ts';
import type { FileReader } from './file-reader.ts';

const MAX_TESTS = 1000;
const TEST_KEYS = [
  'name',
  'token',
  'user',
  'connection',
  'subscriptions',
  'defaults',
  'expect',
  'never',
  'buckets',
  'error',
];
/** What resolving a session can fail with (S-384). */
const SESSION_ERRORS = ['PSYNC_S2305'];

export function readTests(tests: Entry, reader: FileReader): TestCase[] {
  const items = reader.list(tests.value, '"tests"', tests.key);
  if (items === null) return [];
  if (items.length === 0) reader.error('PSYNC_R1203', '"tests" must not be empty; add a test.', tests.key);
  if (items.length > MAX_TESTS)
    reader.error('PSYNC_R1304', `A file has at most ${MAX_TESTS} tests; split it.`, tests.key);
  const names = new Set<string>();
  return items.slice(0, MAX_TESTS).flatMap((item) => {
    const test = readTest(item, tests.key, reader);
    if (test === null) return [];
    if (test.name !== '' && names.has(test.name)) {
      const at = { text: test.name, ...test.place };
      reader.error('PSYNC_R1211', `There are two tests with the name "${test.name}"; rename one of them.`, at);
    }
    names.add(test.name);
    return [test];
  });
}

type Parts = Map<string, Entry>;

function readTest(item: Node | null, tests: Key, reader: FileReader): TestCase | null {
  const entries = reader.entries(item, 'A test', tests);
  if (entries === null) return null;
  for (const entry of entries) if (!TEST_KEYS.includes(entry.key.text)) reader.unknownKey(entry, 'a test', TEST_KEYS);
  const parts: Parts = new Map(entries.map((entry) => [entry.key.text, entry]));
  const whole = { text: '', ...reader.place(item, tests) };
  // of a whole test the mark would go on for many lines
  const at: Key = entries[0]?.key ?? whole;

  const nameEntry = parts.get('name');
  const name = nameEntry === undefined ? null : reader.text(nameEntry);
  if (nameEntry === undefined || name === '')
    reader.error('PSYNC_R1203', 'A test needs a "name".', nameEntry?.key ?? at);
  const who = readUser(parts, at, reader);
  const connection = parts.get('connection');
  const { subscriptions, places } = readSubscriptions(parts.get('subscriptions'), reader);
  const defaults = parts.get('defaults');
  const request: SessionRequest = {
    ...who,
    connectionParameters: connection === undefined ? null : readObject(connection, reader),
    includeDefaults: defaults === undefined ? true : (reader.boolean(defaults) ?? true),
    subscriptions,
  };
  return {
    name: name ?? '',
    place: nameEntry === undefined ? whole : reader.place(nameEntry.value, nameEntry.key),
    request,
    subscriptionPlaces: places,
    ...readExpectations(parts, at, reader),
  };
}

/** `token` with `sub`, text or number (O-89), or `user`. */
function readUser(parts: Parts, at: Key, reader: FileReader): Pick<SessionRequest, 'userId' | 'claims'> {
  const token = parts.get('token');
  const user = parts.get('user');
  if (token !== undefined && user !== undefined)
    reader.error('PSYNC_R1204', 'A test has both "token" and "user"; keep one.', user.key);
  if (token === undefined && user === undefined)
    reader.error('PSYNC_R1203', 'A test needs "user", or "token" with the claims of a token.', at);
  const entry = token ?? user;
  if (entry === undefined) return { userId: '', claims: {} };
  const claims = token === undefined ? { sub: readJson(entry, reader) } : readObject(token, reader);
  if (claims === null) return { userId: '', claims: {} };
  const { sub } = claims as { readonly sub?: unknown };
  if (typeof sub === 'string' && sub !== '') return { userId: sub, claims };
  if (typeof sub === 'number' || typeof sub === 'bigint') return { userId: String(sub), claims };
  const message = token === undefined ? '"user" must be the id of a user.' : '"token" needs "sub", the id of the user.';
  reader.error('PSYNC_R1203', message, entry.key);
  return { userId: '', claims };
}

function readJson({ key, value }: Entry, reader: FileReader): unknown {
  return reader.attempt(() => reader.values.jsonValue(value), key);
}

function readObject(entry: Entry, reader: FileReader): Readonly<Record<string, unknown>> | null {
  if (reader.entries(entry.value, `"${entry.key.text}"`, entry.key) === null) return null;
  return readJson(entry, reader) as Readonly<Record<string, unknown>> | null;
}

function readSubscriptions(
  entry: Entry | undefined,
  reader: FileReader,
): { subscriptions: SessionRequest['subscriptions'][number][]; places: Place[] } {
  const subscriptions: SessionRequest['subscriptions'][number][] = [];
  const places: Place[] = [];
  if (entry === undefined) return { subscriptions, places };
  for (const item of reader.list(entry.value, '"subscriptions"', entry.key) ?? []) {
    const entries = reader.entries(item, 'A subscription', entry.key);
    if (entries === null) continue;
    const parts = new Map<string, Entry>();
    for (const part of entries) {
      parts.set(part.key.text, part);
      const known = ['stream', 'parameters', 'priority'];
      if (!known.includes(part.key.text)) reader.unknownKey(part, 'a subscription', known);
    }
    const stream = parts.get('stream');
    const parameters = parts.get('parameters');
    const priority = parts.get('priority');
    if (stream === undefined) {
      const at = item?.range ? item : entry.key;
      reader.error('PSYNC_R1203', 'A subscription needs "stream".', at);
      continue;
    }
    const overridePriority = priority === undefined ? null : reader.whole(priority, 0);
    if (overridePriority !== null && overridePriority > 3)
      reader.error(
        'PSYNC_R1205',
        `Priority ${overridePriority} is not possible; give 0 (first) to 3 (last).`,
        priority!.key,
      );
    subscriptions.push({
      stream: reader.text(stream) ?? '',
      parameters: parameters === undefined ? null : readObject(parameters, reader),
      overridePriority,
    });
    places.push(reader.place(stream.value, stream.key));
  }
  return { subscriptions, places };
}

function readExpectations(
  parts: Parts,
  at: Key,
  reader: FileReader,
): Pick<TestCase, 'expect' | 'never' | 'buckets' | 'error'> {
  const [expect, never, buckets, error] = ['expect', 'never', 'buckets', 'error'].map((name) => parts.get(name));
  if (expect === undefined && never === undefined && buckets === undefined && error === undefined)
    reader.error('PSYNC_R1203', 'A test needs "expect", "never", "buckets" or "error".', at);
  const beside = expect ?? never ?? buckets;
  if (error !== undefined && beside !== undefined)
    reader.error('PSYNC_R1204', `Without a session there is nothing else to check: "error" stands alone.`, beside.key);
  return {
    expect: expect === undefined ? null : readStreams(expect, reader),
    never: never === undefined ? [] : readNever(never, reader),
    buckets: buckets === undefined ? null : reader.whole(buckets, 0),
    error: error === undefined ? null : readError(error, reader),
  };
}

function readError(entry: Entry, reader: FileReader): string | null {
  const code = reader.text(entry);
  if (code !== null && !SESSION_ERRORS.includes(code))
    reader.error(
      'PSYNC_R1201',
      `"error" must be ${SESSION_ERRORS.join(' or ')}: a session fails with nothing else.`,
      entry.key,
    );
  return code;
}

function readStreams(expect: Entry, reader: FileReader): ExpectedStream[] {
  const streams = reader.entries(expect.value, '"expect"', expect.key) ?? [];
  return streams.map((stream) => ({
    name: stream.key.text,
    place: stream.key,
    tables: (reader.entries(stream.value, `What stream "${stream.key.text}" gives`, stream.key) ?? []).map((table) =>
      readExpectedTable(table, reader),
    ),
  }));
}

function readExpectedTable(table: Entry, reader: FileReader): ExpectedTable {
  const seen = new Set<string>();
  const items = reader.list(table.value, `The rows of "${table.key.text}"`, table.key) ?? [];
  const rows = items.flatMap((item): ExpectedRow[] => {
    const row = readExpectedRow(item, table.key, reader);
    if (row === null) return [];
    if (seen.has(row.id))
      reader.error('PSYNC_R1211', `The id "${row.id}" stands here twice; a client has one row of an id.`, item);
    seen.add(row.id);
    return [row];
  });
  return { name: table.key.text, place: table.key, rows };
}

/** An id, or a map of all columns. */
function readExpectedRow(item: Node | null, table: Key, reader: FileReader): ExpectedRow | null {
  const place = reader.place(item, table);
  const target = reader.attempt(() => reader.values.follow(item), table);
  if (!isMap(target)) {
    const id = readId(item, table, reader);
    return id === null ? null : { id, place, columns: null };
  }
  const columns = new Map<string, ExpectedValue>();
  let id: string | null = null;
  for (const { key, value: node } of reader.entries(item, `A row of "${table.text}"`, table) ?? []) {
    if (key.text === 'id') id = readId(node, key, reader);
    const expected = reader.attempt(() => reader.values.fixtureValue(node), key);
    if (expected === null) continue;
    if (expected.kind === 'json') columns.set(key.text, expected);
    else if (expected.value instanceof Uint8Array)
      reader.error('PSYNC_R1201', 'Binary values are never synced; remove the column.', key);
    else columns.set(key.text, { kind: 'scalar', text: renderValue(expected.value) });
  }
  if (!columns.has('id')) {
    const at = item?.range ? item : table;
    reader.error('PSYNC_R1203', `A row of "${table.text}" needs "id".`, at);
    return null;
  }
  return id === null ? null : { id, place, columns };
}

/** Text form of an id (S-263); null after reporting. */
function readId(node: Node | null, at: Key, reader: FileReader): string | null {
  const value = reader.attempt(() => reader.values.fixtureValue(node), at);
  if (value === null) return null;
  if (value.kind === 'scalar' && value.value !== null) return valueToText(value.value);
  reader.error('PSYNC_R1201', 'An id must be a text or a number.', node?.range ? node : at);
  return null;
}

function readNever(never: Entry, reader: FileReader): ForbiddenTable[] {
  const tables = reader.entries(never.value, '"never"', never.key) ?? [];
  return tables.map(({ key, value }) => ({
    name: key.text,
    place: key,
    ids: (reader.list(value, `The ids of "${key.text}"`, key) ?? []).flatMap((item) => {
      const id = readId(item, key, reader);
      return id === null ? [] : [{ id, place: reader.place(item, key) }];
    }),
  }));
}
