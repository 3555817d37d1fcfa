/** What to write instead of a name that is not there. */
import { SqlError, type Name } from '../sql/ast.ts';
import type { QueryContext } from './context.ts';
import { nearest } from './nearest.ts';
import { sessionValueHint } from './session-value-hints.ts';
import type { Scope } from './scope.ts';

/** As it must be written in a query. */
export function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** PSYNC_R2216 for a qualifier that is no source; `column` is null for `table.*`. */
export function unknownQualifier(table: Name, column: Name | null, scope: Scope, context: QueryContext): SqlError {
  const session = column === null ? null : sessionValueHint(table, column, context.dialect);
  if (session !== null) {
    return new SqlError('PSYNC_R2216', session, { start: table.start, end: column?.end ?? table.end });
  }
  const hint = tableHint(table, column?.written ?? '*', scope) ?? memberHint(table, column);
  return new SqlError('PSYNC_R2216', `There is no table or alias ${table.written} here${hint ?? ''}.`, table);
}

/** The alias of the table that is named, or the name that is nearest to it. */
function tableHint(table: Name, column: string, scope: Scope): string | null {
  const visible: string[] = [];
  for (let at: Scope | null = scope; at !== null; at = at.parent) {
    for (const source of at.sources) {
      if (source.visible === null) continue;
      if (source.kind === 'table' && source.pattern.name === table.text) {
        const alias = quoted(source.visible);
        return `: it is called ${alias}; write ${alias}.${column}`;
      }
      visible.push(source.visible);
    }
  }
  const near = nearest(table.text, visible);
  return near === null ? null : `; write ${quoted(near)}.${column}`;
}

/** A dot is how other languages get at a member of JSON. */
function memberHint(table: Name, column: Name | null): string | null {
  return column === null
    ? null
    : `; if it is a column with JSON, write ${table.written} ->> '${column.written.replaceAll("'", "''")}'`;
}
