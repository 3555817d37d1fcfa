/** For tests: random queries of streams, each in our language and in plain SQL for one person. */
import fc from 'fast-check';

/** Tables of the oracle; every column can hold anything, `tags` are JSON arrays mostly. */
export const TABLES: Readonly<Record<string, readonly string[]>> = {
  items: ['id', 'list_id', 'owner_id', 'status', 'n', 'tags'],
  lists: ['id', 'owner_id', 'parent_id', 'status', 'n', 'tags'],
  members: ['id', 'list_id', 'owner_id', 'status', 'n', 'tags'],
};

export interface Person {
  readonly userId: string;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly connection: Readonly<Record<string, unknown>> | null;
  readonly subscription: Readonly<Record<string, unknown>> | null;
}

/** Our text; and plain SQL for one person, who stands in it as literals. */
export interface Sql {
  readonly ours: string;
  theirs(person: Person): string;
}
export const same = (text: string): Sql => ({ ours: text, theirs: () => text });
export const sql = (strings: TemplateStringsArray, ...parts: (Sql | string)[]): Sql => {
  const build = (of: (part: Sql | string) => string): string =>
    strings.reduce((text, string, at) => text + of(parts[at - 1] ?? '') + string);
  return {
    ours: build((part) => (typeof part === 'string' ? part : part.ours)),
    theirs: (person) => build((part) => (typeof part === 'string' ? part : part.theirs(person))),
  };
};

function literal(value: unknown): string {
  if (value === undefined || value === null) return 'NULL';
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  return `'${(typeof value === 'string' ? value : JSON.stringify(value)).replaceAll("'", "''")}'`;
}

export const parameter = (scope: 'auth' | 'connection' | 'subscription', key: string): Sql => ({
  ours: `${scope}.parameter('${key}')`,
  theirs: ({ claims, connection, subscription }) => literal({ auth: claims, connection, subscription }[scope]?.[key]),
});
export const USER: Sql = { ours: 'auth.user_id()', theirs: ({ userId }) => literal(userId) };

const scalar = fc.oneof(
  fc.constant(USER),
  fc.constantFrom('a', 'b').map((key) => parameter('auth', key)),
  fc.constantFrom('a', 'b').map((key) => parameter('subscription', key)),
  fc.constantFrom('a', 'b').map((key) => parameter('connection', key)),
  fc.constant({ ours: `auth.parameters() ->> '$.a'`, theirs: parameter('auth', 'a').theirs }),
  // functions and operators on parameters (S-88)
  fc.constant(sql`substring(${parameter('subscription', 'b')}, 1, 1)`),
  fc.constant(sql`${parameter('auth', 'a')} || ''`),
  fc.constant(sql`CASE ${parameter('connection', 'a')} WHEN 'x' THEN 'y' ELSE ${USER} END`),
);
const array = fc
  .constantFrom<'auth' | 'connection' | 'subscription'>('auth', 'connection', 'subscription')
  .map((scope) => parameter(scope, 'ids'));

let aliases = 0;
const freshAlias = (): string => `t${++aliases}`;

const column = fc.constantFrom('id', 'list_id', 'owner_id', 'status', 'n');
/** Columns of a table, qualified. */
export const columnOf = (name: string, alias: string): fc.Arbitrary<Sql> =>
  column.map((item) => same(`${alias}.${TABLES[name]?.includes(item) === true ? item : 'id'}`));
export const rowExpression = (name: string, alias: string): fc.Arbitrary<Sql> =>
  fc.oneof(
    { weight: 5, arbitrary: columnOf(name, alias) },
    { weight: 1, arbitrary: columnOf(name, alias).map((item) => sql`ifnull(${item}, 'x')`) },
    { weight: 1, arbitrary: columnOf(name, alias).map((item) => sql`substring(${item}, 1, 1)`) },
  );
export const constant = fc.constantFrom("'x'", "'y'", '1', '2', 'NULL', "'open'").map(same);

export function rowFilter(name: string, alias: string, legacy = false): fc.Arbitrary<Sql> {
  const value = columnOf(name, alias);
  return fc.oneof(
    fc
      .tuple(value, fc.constantFrom('=', '!=', '<', '>='), constant)
      .map(([left, op, right]) => sql`${left} ${op} ${right}`),
    value.map((item) => sql`${item} IS NOT NULL`),
    value.map((item) => sql`NOT ${item} = 'x'`),
    fc.tuple(value, value).map(([a, b]) => sql`${a} = ${b}`),
    value.map((item) => sql`${item} NOT IN ('x', 2)`),
    ...(legacy
      ? []
      : [fc.tuple(value, fc.constantFrom('', 'NOT ')).map(([item, not]) => sql`${item} ${not}BETWEEN 1 AND 'x'`)]),
    value.map((item) => ({ ours: `${item.ours} IN '["x",1]'`, theirs: () => `${item.ours} IN ('x', 1)` })),
    value.map((item) =>
      legacy
        ? sql`iif(${item} = 'x', 1, ${item} <= 1)`
        : sql`CASE WHEN ${item} = 'x' THEN 1 WHEN ${item} > 1 THEN 0 ELSE 1 END`,
    ),
    fc.tuple(value, value).map(([a, b]) => sql`NOT (${a} = 1 OR ${b} = 'y')`),
    value,
  );
}
const gate = fc.oneof(
  fc.tuple(scalar, constant).map(([left, right]) => sql`${left} = ${right}`),
  fc.tuple(scalar, constant).map(([left, right]) => sql`NOT ${left} = ${right}`),
  scalar.map((item) => sql`${item} IS NULL`),
  fc.tuple(scalar, scalar).map(([left, right]) => sql`${left} = ${right}`),
  array.map((item) => ({
    ours: `'x' IN ${item.ours}`,
    theirs: (person: Person) => `'x' IN (SELECT value FROM json_each(${item.theirs(person)}))`,
  })),
);
/** Left IN an array that is JSON text. */
export const inArray = (left: Sql, json: Sql): Sql => ({
  ours: `${left.ours} IN ${json.ours}`,
  theirs: (person) => `${left.theirs(person)} IN (SELECT value FROM json_each(${json.theirs(person)}))`,
});

/** A condition on one row, `depth` levels of subqueries. Never negates a match. */
function condition(name: string, alias: string, depth: number): fc.Arbitrary<Sql> {
  const match = fc.oneof(
    fc.tuple(rowExpression(name, alias), scalar).map(([left, right]) => sql`${left} = ${right}`),
    fc.tuple(scalar, rowExpression(name, alias)).map(([left, right]) => sql`${left} = ${right}`),
    fc.tuple(rowExpression(name, alias), array).map(([left, right]) => inArray(left, right)),
    scalar.map((left) => inArray(left, same(`${alias}.tags`))),
    array.map((right) => ({
      ours: `${alias}.tags && ${right.ours}`,
      theirs: (person: Person) =>
        `EXISTS (SELECT 1 FROM json_each(${alias}.tags) x JOIN json_each(${right.theirs(person)}) y ON x.value = y.value)`,
    })),
    fc
      .tuple(rowExpression(name, alias), array)
      .map(([left, right]) => sql`${left} IN (SELECT value FROM json_each(${right}))`),
    // negations that cancel out, and such that turn AND into OR
    fc.tuple(columnOf(name, alias), scalar).map(([left, right]) => sql`NOT (NOT ${left} = ${right})`),
    fc
      .tuple(columnOf(name, alias), scalar, fc.constantFrom('AND', 'OR'), rowFilter(name, alias))
      .map(([left, right, op, filter]) => sql`NOT (NOT ${left} = ${right} ${op} ${filter})`),
    // one value compared with several things
    fc
      .tuple(columnOf(name, alias), scalar, array)
      .map(([left, right, list]) => sql`(${left} = ${right} AND ${inArray(left, list)})`),
    fc
      .tuple(columnOf(name, alias), scalar, scalar)
      .map(([left, right, other]) => sql`(${left} = ${right} AND ${other} = ${left})`),
    fc
      .tuple(columnOf(name, alias), columnOf(name, alias), scalar)
      .map(([left, other, right]) => sql`(${left} = ${right} AND ${other} = ${right})`),
  );
  const leaves = [
    { weight: 3, arbitrary: match },
    { weight: 2, arbitrary: rowFilter(name, alias) },
    { weight: 1, arbitrary: gate },
    ...(depth > 0 ? [{ weight: 4, arbitrary: subquery(name, alias, depth - 1) }] : []),
  ];
  const leaf = fc.oneof(...leaves);
  const group = (item: Sql): Sql => sql`(${item})`;
  return fc.oneof(
    { weight: 3, arbitrary: leaf },
    { weight: 3, arbitrary: fc.tuple(leaf, leaf).map(([a, b]) => sql`${a} AND ${b}`) },
    { weight: 2, arbitrary: fc.tuple(leaf, leaf).map(([a, b]) => group(sql`${a} OR ${b}`)) },
    { weight: 1, arbitrary: fc.tuple(leaf, leaf, leaf).map(([a, b, c]) => sql`${a} AND (${b} OR ${c})`) },
    {
      weight: 1,
      arbitrary: fc.tuple(leaf, leaf, leaf, leaf).map(([a, b, c, d]) => group(sql`(${a} OR ${b}) AND (${c} OR ${d})`)),
    },
  );
}

/** The CTEs of the run: SQL text of queries names them, plain SQL has them as subqueries with the column v. */
let ctes: readonly Sql[] = [];
/** Before the queries of a run are written in plain SQL. */
export function nameCtes(named: readonly Sql[]): void {
  ctes = named;
}
const cteQuery = (at: number, who: Person): string => ctes[at]?.theirs(who) ?? 'SELECT NULL AS v WHERE 0';

function withCte(left: fc.Arbitrary<Sql>): fc.Arbitrary<Sql> {
  return fc
    .tuple(left, fc.constantFrom(0, 1), fc.constantFrom('name', 'equals', 'star', 'column'))
    .map(([item, at, how]) => ({
      ours: `${item.ours} ${{ name: `IN c${at}`, equals: `= c${at}`, star: `IN (SELECT * FROM c${at})`, column: `IN (SELECT q.v FROM c${at} AS q)` }[how]}`,
      theirs: (who: Person) => `${item.theirs(who)} IN (${cteQuery(at, who)})`,
    }));
}

function subquery(name: string, alias: string, depth: number): fc.Arbitrary<Sql> {
  return fc.constantFrom(...Object.keys(TABLES)).chain((other) => {
    const inner = freshAlias();
    const left = fc.oneof({ weight: 4, arbitrary: rowExpression(name, alias) }, { weight: 1, arbitrary: scalar });
    const where = fc.option(condition(other, inner, depth), { freq: 6 });
    const selected = fc.oneof({ weight: 8, arbitrary: columnOf(other, inner) }, { weight: 1, arbitrary: scalar });
    return fc.oneof(
      {
        weight: 4,
        arbitrary: fc
          .tuple(left, selected, where)
          .map(([a, b, c]) =>
            c === null
              ? sql`${a} IN (SELECT ${b} FROM ${other} ${inner})`
              : sql`${a} IN (SELECT ${b} FROM ${other} ${inner} WHERE ${c})`,
          ),
      },
      {
        weight: 1,
        arbitrary: fc.tuple(selected, where).map(([b, c]) => {
          const query =
            c === null
              ? sql`SELECT ${b} AS v FROM ${other} ${inner}`
              : sql`SELECT ${b} AS v FROM ${other} ${inner} WHERE ${c}`;
          return {
            ours: `${alias}.tags && (${query.ours})`,
            theirs: (person: Person) =>
              `EXISTS (SELECT 1 FROM json_each(${alias}.tags) x JOIN (${query.theirs(person)}) y ON x.value = y.v)`,
          };
        }),
      },
      { weight: 2, arbitrary: withCte(left) },
      // elements of a column of the table before it (S-109)
      {
        weight: 1,
        arbitrary: fc
          .tuple(left, where)
          .map(([a, c]) =>
            c === null
              ? sql`${a} IN (SELECT e.value FROM ${other} ${inner}, json_each(${inner}.tags) AS e)`
              : sql`${a} IN (SELECT e.value FROM ${other} ${inner}, json_each(${inner}.tags) AS e WHERE ${c})`,
          ),
      },
      // a subquery that compares with the row around it
      {
        weight: 1,
        arbitrary: fc
          .tuple(left, columnOf(other, inner), columnOf(other, inner), columnOf(name, alias), where)
          .map(
            ([a, b, x, y, c]) =>
              sql`${a} IN (SELECT ${b} FROM ${other} ${inner} WHERE ${x} = ${y} AND (${c ?? same('1')}))`,
          ),
      },
      // a subquery in FROM, with and without names for its columns
      {
        weight: 1,
        arbitrary: fc
          .tuple(left, columnOf(other, inner), columnOf(other, inner), where, scalar, fc.boolean())
          .map(([a, b, x, c, value, named]) => {
            const rows = sql`SELECT ${b} AS p, ${x} AS q FROM ${other} ${inner} WHERE ${c ?? same('1')}`;
            return {
              ours: `${a.ours} IN (SELECT d${inner}.${named ? 'v' : 'p'} FROM (${rows.ours}) AS d${inner}${named ? '(v, w)' : ''} WHERE d${inner}.${named ? 'w' : 'q'} = ${value.ours})`,
              theirs: (who: Person) =>
                `${a.theirs(who)} IN (SELECT p FROM (${rows.theirs(who)}) WHERE q = ${value.theirs(who)})`,
            };
          }),
      },
      // two tables in the subquery
      {
        weight: 1,
        arbitrary: fc.constantFrom(...Object.keys(TABLES)).chain((third) => {
          const second = freshAlias();
          return fc
            .tuple(left, selected, columnOf(other, inner), columnOf(third, second), condition(third, second, 0))
            .map(
              ([a, b, x, y, c]) =>
                sql`${a} IN (SELECT ${b} FROM ${other} ${inner} JOIN ${third} AS ${second} ON ${x} = ${y} AND ${c})`,
            );
        }),
      },
    );
  });
}

export const cte: fc.Arbitrary<Sql> = fc.constantFrom(...Object.keys(TABLES)).chain((name) => {
  const alias = freshAlias();
  // a CTE reads no CTE
  return fc
    .tuple(columnOf(name, alias), condition(name, alias, 0))
    .map(([selected, where]) => sql`SELECT ${selected} AS v FROM ${name} ${alias} WHERE ${where}`);
});

export const query: fc.Arbitrary<Sql> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc
      .tuple(columnOf('items', 'items'), fc.constantFrom(0, 1), condition('items', 'items', 1))
      .map(([x, at, where]) => ({
        ours: `SELECT items.* FROM items INNER JOIN c${at} ON c${at}.v = ${x.ours} WHERE ${where.ours}`,
        theirs: (who: Person) =>
          `SELECT items.* FROM items INNER JOIN (${cteQuery(at, who)}) c ON c.v = ${x.theirs(who)} WHERE ${where.theirs(who)}`,
      })),
  },
  { weight: 4, arbitrary: condition('items', 'items', 2).map((where) => sql`SELECT * FROM items WHERE ${where}`) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(...Object.keys(TABLES)).chain((other) => {
      const alias = freshAlias();
      return fc
        .tuple(
          columnOf('items', 'items'),
          columnOf(other, alias),
          condition(other, alias, 1),
          condition('items', 'items', 0),
        )
        .map(
          ([x, y, on, where]) =>
            sql`SELECT items.* FROM items JOIN ${other} ${alias} ON ${x} = ${y} AND ${on} WHERE ${where}`,
        );
    }),
  },
  // tables by comma with several equalities, or with none; a condition that joins by OR
  {
    weight: 2,
    arbitrary: fc.constantFrom(...Object.keys(TABLES)).chain((other) => {
      const alias = freshAlias();
      const pair = fc.tuple(columnOf('items', 'items'), columnOf(other, alias)).map(([x, y]) => sql`${x} = ${y}`);
      return fc
        .tuple(
          fc.oneof(
            pair,
            fc.tuple(pair, pair).map(([a, b]) => sql`${a} AND ${b}`),
            fc.tuple(pair, pair).map(([a, b]) => sql`(${a} OR ${b})`),
            fc.constant(same('1')),
          ),
          condition(other, alias, 0),
          condition('items', 'items', 0),
        )
        .map(([on, c, where]) => sql`SELECT items.* FROM items, ${other} ${alias} WHERE ${on} AND ${c} AND ${where}`);
    }),
  },
  // a chain of tables
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        columnOf('items', 'items'),
        columnOf('lists', 'l'),
        columnOf('lists', 'l'),
        columnOf('members', 'm'),
        condition('members', 'm', 0),
        condition('lists', 'l', 0),
      )
      .map(
        ([a, b, c, d, where, on]) =>
          sql`SELECT items.* FROM items JOIN lists l ON ${a} = ${b} AND ${on} JOIN members m ON ${c} = ${d} WHERE ${where}`,
      ),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(columnOf('items', 'i'), array)
      .map(([x, json]) => sql`SELECT i.* FROM items i JOIN json_each(${json}) AS mine ON ${x} = mine.value`),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(...Object.keys(TABLES)).chain((other) => {
      const alias = freshAlias();
      return fc
        .tuple(columnOf(other, alias), condition(other, alias, 1))
        .map(
          ([y, where]) =>
            sql`SELECT i.* FROM items i INNER JOIN json_each(i.tags) AS p INNER JOIN ${other} ${alias} ON p.value = ${y} WHERE ${where}`,
        );
    }),
  },
);
