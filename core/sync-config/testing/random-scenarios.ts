/** For tests: whole scenarios of the oracle: a schema, a config with its meaning in plain SQL, people, and changes one after the other. */
import { inspect } from 'node:util';
import fc from 'fast-check';
import { CTES, cte, plainWith } from './random-conditions.ts';
import { definition, type Definition } from './random-legacy.ts';
import { query, type Output, type RandomQuery } from './random-queries.ts';
import {
  TABLES,
  alphabet,
  cells,
  inSchema,
  schemaOf,
  schemaParts,
  spellCells,
  type Alphabet,
  type Cells,
  type Schema,
  type TableName,
} from './random-schemas.ts';
import { person, spellPerson, type Person } from './random-values.ts';
import type { Sql } from './sql-text.ts';

/** What a stream or bucket definition means for one query: plain SQL over the person's values. */
export interface Meaning {
  readonly sql: string;
  readonly table: TableName;
  readonly alias: string | null;
  readonly outputs: readonly Output[];
  /** Of the buckets, where the query says it itself (S-237). */
  readonly priority: number | null;
}
export interface MeantStream {
  readonly name: string;
  readonly byDefault: boolean;
  readonly priority: number;
  readonly meanings: readonly Meaning[];
}

/** `table` counts the tables of one name, `row` the living rows; both wrap around. */
export type Step =
  | { readonly kind: 'insert'; readonly name: TableName; readonly table: number; readonly cells: Cells }
  | { readonly kind: 'update'; readonly row: number; readonly cells: Partial<Cells> }
  | { readonly kind: 'delete'; readonly row: number }
  | { readonly kind: 'truncate'; readonly name: TableName; readonly table: number };

/** Nothing but data: a counterexample can be copied into the table of regressions. */
export interface Scenario {
  readonly config: string;
  readonly schema: Schema;
  readonly streams: readonly MeantStream[];
  readonly people: readonly Person[];
  /** What is there before the first comparison. */
  readonly rows: readonly (Step & { kind: 'insert' })[];
  readonly steps: readonly Step[];
}

const tableName = fc.constantFrom<TableName>(...TABLES);
const insert = fc.record({ kind: fc.constant('insert' as const), name: tableName, table: fc.nat(7), cells });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: insert },
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        fc.nat(50),
        cells,
        fc.subarray(['id', 'ref', 'owner', 'n', 'tags', 'doc', 'bin', 'extra'] as const, { maxLength: 3 }),
      )
      .map(([row, all, names]) => ({
        kind: 'update' as const,
        row,
        cells: Object.fromEntries(names.map((name) => [name, all[name]])),
      })),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), row: fc.nat(50) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('truncate' as const), name: tableName, table: fc.nat(7) }),
  },
);

type Ctes = Readonly<Record<string, Sql>>;
interface StreamParts {
  readonly queries: readonly RandomQuery[];
  readonly ctes: Ctes;
  readonly byDefault: boolean;
  readonly priority: number | null;
}
const [first, second, global] = CTES;
const streamParts: fc.Arbitrary<StreamParts> = fc.record({
  queries: fc.oneof(
    { weight: 3, arbitrary: fc.tuple(query) },
    { weight: 1, arbitrary: fc.array(query, { minLength: 2, maxLength: 3 }) },
  ),
  ctes: fc
    .tuple(cte(['v']), cte(['v', 'w']), fc.option(cte(['v']), { freq: 2 }))
    .map(([one, two, own]) => ({ [first]: one, [second]: two, ...(own === null ? {} : { [global]: own }) })),
  byDefault: fc.boolean(),
  priority: fc.option(fc.nat(3)),
});
type DefinitionParts = readonly [Definition, number | null];
const definitionParts: fc.Arbitrary<DefinitionParts> = fc.tuple(definition, fc.option<number>(fc.nat(3)));
interface Content {
  readonly streams: readonly StreamParts[];
  readonly definitions: readonly DefinitionParts[];
}
/** Streams, bucket definitions, or both. */
const content: fc.Arbitrary<Content> = fc.oneof(
  { weight: 4, arbitrary: streamParts.map((parts): Content => ({ streams: [parts], definitions: [] })) },
  { weight: 3, arbitrary: definitionParts.map((parts): Content => ({ streams: [], definitions: [parts] })) },
  {
    weight: 3,
    arbitrary: fc.record({
      streams: fc.array(streamParts, { minLength: 1, maxLength: 3 }),
      definitions: fc.array(definitionParts, { maxLength: 2 }),
    }),
  },
);

const STREAM_NAMES = ['s', 'My "stream"', 'a|0'];
const DEFINITION_NAMES = ['a', "rules'"];

/** Queries as YAML strings; names are put in when the schema is known. */
const QUERY = /⟦([^⟧]*)⟧/g;
const queryText = ({ ours }: Sql): string => `⟦${ours}⟧`;
const written = (text: string, schema: Schema): string =>
  text.replaceAll(QUERY, (_, query: string) => JSON.stringify(inSchema(query, schema)));
const items = (queries: readonly Sql[], indent: string): string =>
  queries.map((query) => `${indent}- ${queryText(query)}\n`).join('');
function withOf(ctes: Ctes, indent: string): string {
  const entries = Object.entries(ctes).map(([name, query]) => `${indent}  ${name}: ${queryText(query)}\n`);
  return `${indent}with:\n${entries.join('')}`;
}

function streamText(name: string, { queries, ctes, byDefault, priority }: StreamParts): string {
  const options = `${byDefault ? '    auto_subscribe: true\n' : ''}${priority === null ? '' : `    priority: ${priority}\n`}`;
  return `  ${JSON.stringify(name)}:\n${options}${withOf(ctes, '    ')}    queries:\n${items(queries, '      ')}`;
}
function definitionText(name: string, { parameters, data }: Definition, priority: number | null): string {
  const keys = parameters.length === 0 ? '' : `    parameters:\n${items(parameters, '      ')}`;
  return `  ${JSON.stringify(name)}:\n${priority === null ? '' : `    priority: ${priority}\n`}${keys}    data:\n${items(data, '      ')}`;
}

const theirs = (ctes: Ctes): Record<string, string> =>
  Object.fromEntries(Object.entries(ctes).map(([name, { theirs }]) => [name, theirs]));

function meantStream(name: string, { queries, ctes, byDefault, priority }: StreamParts, globals: Ctes): MeantStream {
  const named = theirs({ ...globals, ...ctes });
  const meanings = queries.map((item) => ({ ...described(item), sql: plainWith(item.theirs, named), priority: null }));
  return { name, byDefault, priority: priority ?? 3, meanings };
}
function meantDefinition(name: string, { parameters, data }: Definition, priority: number | null): MeantStream {
  const everyone = { theirs: 'SELECT 1 AS one', priority: null };
  const meanings = (parameters.length === 0 ? [everyone] : parameters).flatMap((buckets) =>
    data.map((item) => ({
      ...described(item),
      sql: `WITH buckets AS (${buckets.theirs}) ${item.theirs}`,
      priority: buckets.priority,
    })),
  );
  return { name, byDefault: true, priority: priority ?? 3, meanings };
}
const described = ({ table, alias, outputs }: RandomQuery) => ({ table, alias, outputs });

export const scenario: fc.Arbitrary<Scenario> = fc
  .record({
    parts: schemaParts,
    edition: fc.constantFrom('edition: 3', 'edition: 3', 'edition: 2', 'edition: 3, fixed_json_extract: false'),
    globals: cte(['v']),
    letters: alphabet,
    content,
    people: fc.array(person(4), { minLength: 1, maxLength: 3 }),
    rows: fc.array(insert, { minLength: 4, maxLength: 14 }),
    steps: fc.array(step, { minLength: 1, maxLength: 6 }),
  })
  .map(({ parts, edition, globals, letters, content, people, rows, steps }): Scenario => {
    const schema = schemaOf(parts, content.definitions.length === 0);
    const global = { g0: globals };
    const streams = content.streams.map((parts, at) => [STREAM_NAMES[at] ?? 's', parts] as const);
    const definitions = content.definitions.map((parts, at) => [DEFINITION_NAMES[at] ?? 'a', ...parts] as const);
    const text = [
      `config: { ${edition} }\n`,
      streams.length === 0 ? '' : `${withOf(global, '')}streams:\n`,
      ...streams.map(([name, parts]) => streamText(name, parts)),
      definitions.length === 0 ? '' : 'bucket_definitions:\n',
      ...definitions.map(([name, parts, priority]) => definitionText(name, parts, priority)),
    ];
    return printable({
      config: written(text.join(''), schema),
      schema,
      streams: [
        ...streams.map(([name, parts]) => meantStream(name, parts, global)),
        ...definitions.map(([name, parts, priority]) => meantDefinition(name, parts, priority)),
      ],
      people: people.map((item) => spellPerson(item, letters)),
      rows: rows.map((item) => ({ ...item, cells: spellCells(item.cells, letters) })),
      steps: steps.map((item) => spellStep(item, letters)),
    });
  });

function spellStep(step: Step, letters: Alphabet): Step {
  if (step.kind === 'insert') return { ...step, cells: spellCells(step.cells, letters) };
  return step.kind === 'update' ? { ...step, cells: spellCells(step.cells, letters) } : step;
}

/** Shown whole when it fails. */
function printable(scenario: Scenario): Scenario {
  const shown = (): string =>
    `${scenario.config}\n${inspect(scenario, { depth: null, maxArrayLength: null, maxStringLength: null, breakLength: 140 })}`;
  Object.defineProperty(scenario, fc.toStringMethod, { value: shown, enumerable: false });
  return scenario;
}
