import { SqlError, type Expr, type FromItem, type Name, type Select, type SelectItem } from './ast.ts';
import { createCursor, type Cursor, type SqlWarning } from './cursor.ts';
import type { Locate } from './lexer.ts';
import { parseArguments, parseExpression } from './parse-expression.ts';

/** What a query may not contain, with what to do instead (S-100, S-117, S-123). */
const CLAUSES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    group: 'GROUP BY is not supported: queries work on one row at a time.',
    having: 'HAVING is not supported: queries work on one row at a time.',
    order: 'ORDER BY is not supported; sort on the client.',
    limit: 'LIMIT is not supported; filter with WHERE.',
    offset: 'OFFSET is not supported; filter with WHERE.',
    fetch: 'FETCH is not supported; filter with WHERE.',
    for: 'FOR is not supported.',
    union: 'UNION is not supported; write several queries.',
    intersect: 'INTERSECT is not supported; combine the conditions with AND.',
    except: 'EXCEPT is not supported; filter with WHERE.',
    window: 'WINDOW is not supported: queries work on one row at a time.',
  }),
);
const JOINS = new Set(['left', 'right', 'full', 'outer', 'cross', 'natural']);

export interface ParsedQuery {
  readonly select: Select;
  readonly warnings: readonly SqlWarning[];
}

/** Parses one query; all places are those of `locate` (the YAML text). Throws `SqlError` only. */
export function parseQuery(sql: string, locate: Locate = (offset) => offset): ParsedQuery {
  const cursor = createCursor(sql, locate, parseSelectBody);
  const select = parseSelectBody(cursor);
  if (cursor.acceptSymbol(';') && cursor.peek().kind !== 'end') {
    throw new SqlError(
      'PSYNC_R2101',
      'Only one statement is allowed; write further queries as items of the list.',
      cursor.peek(),
    );
  }
  if (cursor.peek().kind !== 'end') cursor.fail('the end of the query');
  return { select, warnings: cursor.warnings };
}

/** From SELECT to the end of WHERE; leaves the cursor at whatever follows. */
function parseSelectBody(cursor: Cursor): Select {
  const { start } = cursor.peek();
  if (cursor.isWord('with')) {
    throw new SqlError(
      'PSYNC_R2201',
      'WITH inside a query is not supported; define the query under "with" of the stream.',
      cursor.peek(),
    );
  }
  cursor.expectWord('select', 'at the beginning of the query');
  if (cursor.isWord('distinct') || cursor.isWord('all')) {
    throw new SqlError(
      'PSYNC_R2201',
      'DISTINCT and ALL are not supported: rows are synced once anyway.',
      cursor.peek(),
    );
  }
  const items: SelectItem[] = [];
  while (!endsItems(cursor)) {
    if (items.length > 0 && !cursor.acceptComma()) cursor.fail('"," or FROM after the column');
    items.push(parseItem(cursor));
  }
  const from: FromItem[] = [];
  if (cursor.acceptWord('from')) parseFrom(cursor, from);
  const where = cursor.acceptWord('where') ? parseExpression(cursor) : null;
  const clause = cursor.peek().kind === 'word' ? CLAUSES.get(cursor.peek().text) : undefined;
  if (clause !== undefined) throw new SqlError('PSYNC_R2201', clause, cursor.peek());
  return { items, from, where, ...cursor.spanFrom(start) };
}

function endsItems(cursor: Cursor): boolean {
  const token = cursor.peek();
  if (token.kind === 'end') return true;
  if (token.kind === 'symbol') return token.text === ')' || token.text === ';';
  return token.kind === 'word' && (token.text === 'from' || token.text === 'where' || CLAUSES.has(token.text));
}

function parseItem(cursor: Cursor): SelectItem {
  const { start } = cursor.peek();
  if (cursor.acceptSymbol('*')) return { kind: 'star', table: null, ...cursor.spanFrom(start) };
  if (cursor.isName() && cursor.isSymbol('.', 1) && cursor.isSymbol('*', 2)) {
    const table = cursor.name('a table');
    cursor.next();
    cursor.next();
    return { kind: 'star', table, ...cursor.spanFrom(start) };
  }
  const expr = parseExpression(cursor);
  const alias = parseAlias(cursor);
  return { kind: 'expr', expr, alias, ...cursor.spanFrom(start) };
}

function parseAlias(cursor: Cursor): Name | null {
  if (cursor.acceptWord('as')) return cursor.name('a name after AS', 'qualified');
  return cursor.isName() ? cursor.name('an alias') : null;
}

function parseFrom(cursor: Cursor, from: FromItem[]): void {
  from.push(parseSource(cursor, false));
  for (;;) {
    const token = cursor.peek();
    if (cursor.acceptComma()) {
      from.push(parseSource(cursor, false));
    } else if (token.kind === 'word' && JOINS.has(token.text)) {
      const kind = token.text.toUpperCase();
      throw new SqlError(
        'PSYNC_R2202',
        `${kind} JOIN is not supported; use INNER JOIN … ON, or several queries.`,
        token,
      );
    } else if (cursor.isWord('join') || (cursor.isWord('inner') && cursor.isWord('join', 1))) {
      cursor.acceptWord('inner');
      cursor.next();
      from.push(parseSource(cursor, true));
    } else {
      return;
    }
  }
}

function parseSource(cursor: Cursor, joined: boolean): FromItem {
  const { start } = cursor.peek();
  /** What all kinds of sources have; the condition does not belong to their span. */
  const common = (alias: Name | null) => {
    const span = cursor.spanFrom(start);
    return { joined, alias, ...span, on: joined ? parseOn(cursor) : null };
  };
  if (cursor.acceptSymbol('(')) {
    const select = cursor.subquery();
    cursor.expectSymbol(')', 'after the subquery');
    const alias = parseAlias(cursor);
    const columns = alias !== null && cursor.isSymbol('(') ? parseColumnNames(cursor) : null;
    return { kind: 'select', select, columns, ...common(alias) };
  }
  const first = cursor.name('a table');
  if (cursor.isSymbol('(')) {
    const args = parseArguments(cursor, first);
    return { kind: 'function', name: first, args, ...common(parseAlias(cursor)) };
  }
  const second = cursor.acceptSymbol('.') ? cursor.name('a table after the schema', 'qualified') : null;
  if (second !== null && cursor.isSymbol('.')) {
    throw new SqlError('PSYNC_R2101', 'A table is written schema.table, or "tag.schema"."table".', cursor.peek());
  }
  const schema = second === null ? null : first;
  return { kind: 'table', schema, name: second ?? first, ...common(parseAlias(cursor)) };
}

function parseOn(cursor: Cursor): Expr | null {
  if (cursor.isWord('using')) {
    throw new SqlError('PSYNC_R2202', 'USING is not supported; write ON a.x = b.y.', cursor.peek());
  }
  return cursor.acceptWord('on') ? parseExpression(cursor) : null;
}

function parseColumnNames(cursor: Cursor): Name[] {
  cursor.next();
  const names = [cursor.name('a column name')];
  while (cursor.acceptComma()) names.push(cursor.name('a column name'));
  cursor.expectSymbol(')', 'after the column names');
  return names;
}
