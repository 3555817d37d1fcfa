/** A database that is copied and streamed while a test changes its tables. */
import { postgres } from '#test/services/postgres.ts';
import type { IsWanted, Snapshot, Source, StreamEvent } from '../contract.ts';
import { asObject, type LogLine, newCursor, openTestSource, record, type Recording, session } from './testing.ts';

export interface StreamedDatabase extends AsyncDisposable {
  readonly source: Source;
  readonly snapshot: Snapshot;
  readonly recording: Recording;
  readonly lines: LogLine[];
  /** Runs SQL as an application, waits until the stream has passed it, and returns what it gave, in short. */
  run(sql: string): Promise<string[]>;
}

/** A source of a database made by `setup`, copied and streaming. */
export async function startStreamed(
  version: number,
  setup: string,
  wanted: IsWanted = () => true,
): Promise<StreamedDatabase> {
  const database = await (await postgres({ version })).createDatabase();
  const app = await session(database.url);
  await app.query(setup);
  if (!/PUBLICATION powersync/.test(setup)) await app.query('CREATE PUBLICATION powersync FOR ALL TABLES');
  const lines: LogLine[] = [];
  const source = openTestSource(database.url, { lines });
  const cursor = newCursor(source);
  source.want(wanted);
  const snapshot = await source.createCursor(cursor, new AbortController().signal);
  const recording = record(source, cursor, snapshot.position);
  return {
    source,
    snapshot,
    recording,
    lines,
    async run(sql) {
      const seen = recording.events.length;
      await app.query(sql);
      await recording.passed(await source.head());
      return recording.events.slice(seen).flatMap(short);
    },
    async [Symbol.asyncDispose]() {
      await recording.stop();
      await snapshot.close();
      await source.dropCursor(cursor);
      await source.close();
      await app.end();
      await database.drop();
    },
  };
}

/** Events without what a test does not compare, in a line each. */
export function short(event: StreamEvent): string[] {
  const json = (value: unknown): string =>
    JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? Number(each) : each));
  switch (event.kind) {
    case 'insert':
    case 'update': {
      const row = json(asObject(event.table, event.after));
      const before = event.before === null ? '' : ` before ${json(asObject(event.table, event.before))}`;
      return [
        `${event.kind} ${event.table.name} ${row}${event.keyBefore === null ? '' : ` key was ${event.keyBefore}`}${before}`,
      ];
    }
    case 'delete':
      return [
        `delete ${event.table.name} ${event.key}${event.before === null ? '' : ` before ${json(asObject(event.table, event.before))}`}`,
      ];
    case 'truncate':
      return [`truncate ${event.table.name}`];
    case 'table':
      return [`table ${event.table.name}${event.replaces === null ? '' : ` instead of ${event.replaces.name}`}`];
    default:
      return [];
  }
}
