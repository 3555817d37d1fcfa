/** What a session gets against what a test says. */
import type { ClientRow, TriedBucket, TriedSession } from '#core/sync-config/try-out/try-session.ts';
import type { Difference, ExpectedStream, ExpectedTable, ExpectedValue, TestCase } from './contract.ts';

/** Why a row that is expected is not there. */
export type ExplainMissing = (stream: string, table: string, id: string) => string;

/** All differences, by stream in the order of the config, table and id; none: the test passed. */
export function compareSession(test: TestCase, session: TriedSession, explain: ExplainMissing): Difference[] {
  return [
    ...(test.expect === null ? [] : compareStreams(test.expect, session, explain)),
    ...forbiddenRows(test, session),
    ...compareBuckets(test.buckets, session.buckets),
  ];
}

function compareStreams(
  expected: readonly ExpectedStream[],
  session: TriedSession,
  explain: ExplainMissing,
): Difference[] {
  const names = new Set([...session.streams.keys(), ...expected.map(({ name }) => name)]);
  return [...names].flatMap((name) => {
    const tables = expected.find((stream) => stream.name === name)?.tables ?? [];
    return compareStream(name, tables, session.streams.get(name) ?? [], explain);
  });
}

function compareStream(
  stream: string,
  expected: readonly ExpectedTable[],
  actual: readonly ClientRow[],
  explain: ExplainMissing,
): Difference[] {
  const differences: Difference[] = [];
  const wanted = new Map(expected.map(({ name, rows }) => [name, new Map(rows.map((row) => [row.id, row]))]));
  for (const row of actual) {
    const { table, id, buckets } = row;
    const want = wanted.get(table)?.get(id);
    if (want === undefined) differences.push({ kind: 'unexpected', stream, table, id, buckets });
    else if (want.columns !== null) differences.push(...compareColumns(stream, want.columns, row));
  }
  const has = new Map<string, Set<string>>();
  for (const { table, id } of actual) has.set(table, (has.get(table) ?? new Set()).add(id));
  for (const { name: table, rows } of expected) {
    for (const { id } of rows) {
      if (has.get(table)?.has(id) === true) continue;
      differences.push({ kind: 'missing', stream, table, id, reason: explain(stream, table, id) });
    }
  }
  return differences;
}

/** A row that comes in several versions must be as expected in each: which of them a client keeps is not defined (S-267). */
function compareColumns(
  stream: string,
  expected: ReadonlyMap<string, ExpectedValue>,
  { table, id, versions }: ClientRow,
): Difference[] {
  const found = new Map<string, Difference>();
  for (const version of versions) {
    const actual = columnsOf(version);
    for (const column of new Set([...expected.keys(), ...actual.keys()])) {
      // the id is text on the client, whatever it is in the row (S-263); it was compared as such
      if (column === 'id' || found.has(column)) continue;
      const want = expected.get(column);
      const got = actual.get(column) ?? null;
      if (isSame(want, got)) continue;
      found.set(column, { kind: 'changed', stream, table, id, column, expected: want?.text ?? null, actual: got });
    }
  }
  return [...found.values()];
}

/** A client treats a missing column and a null one alike (S-277). */
function isSame(expected: ExpectedValue | undefined, actual: string | null): boolean {
  if (expected === undefined || expected.text === 'null') return actual === null || actual === 'null';
  if (expected.kind === 'scalar') return expected.text === actual;
  if (actual === null || !actual.startsWith('"')) return false;
  const text = canonicalJson(JSON.parse(actual) as string);
  return text !== null && text === canonicalJson(expected.text);
}

/** A number as it is written. */
class NumberText {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

/** JSON.parse with numbers as texts: integers beyond 2^53 stay exact, and 1 differs from 1.0. */
function parseWithTexts(text: string): unknown {
  const revive = (_key: string, value: unknown, context?: { readonly source?: string }): unknown =>
    typeof value === 'number' ? new NumberText(context?.source ?? String(value)) : value;
  return JSON.parse(text, revive);
}

/** JSON texts of a synced row's columns. */
function columnsOf(data: string): Map<string, string> {
  const row = parseWithTexts(data) as Readonly<Record<string, unknown>>;
  return new Map(
    Object.entries(row).map(([name, value]) => [
      name,
      value instanceof NumberText ? value.source : JSON.stringify(value),
    ]),
  );
}

/** The same for all ways to write one JSON value, but for those of numbers; null for text that is none. */
function canonicalJson(text: string): string | null {
  const write = (value: unknown): string => {
    if (value instanceof NumberText) return value.source;
    if (Array.isArray(value)) return `[${value.map(write).join(',')}]`;
    if (typeof value !== 'object' || value === null) return JSON.stringify(value);
    const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${write(member)}`).join(',')}}`;
  };
  try {
    return write(parseWithTexts(text));
  } catch {
    return null;
  }
}

function forbiddenRows({ never }: TestCase, { streams }: TriedSession): Difference[] {
  if (never.length === 0) return [];
  const forbidden = new Map(never.map(({ name, ids }) => [name, new Set(ids.map(({ id }) => id))]));
  return [...streams].flatMap(([stream, rows]) =>
    rows
      .filter(({ table, id }) => forbidden.get(table)?.has(id) === true)
      .map(({ table, id, buckets }): Difference => ({ kind: 'forbidden', stream, table, id, buckets })),
  );
}

function compareBuckets(expected: number | null, buckets: readonly TriedBucket[]): Difference[] {
  if (expected === null || expected === buckets.length) return [];
  return [{ kind: 'buckets', expected, actual: buckets.length, buckets: buckets.map(({ name }) => name) }];
}
