/** Texts of queries -> syntax trees, with what went wrong reported. */
import { SqlError, type Select } from '../sql/ast.ts';
import { parseQuery, type ParsedQuery } from '../sql/parse-select.ts';
import type { QueryText } from '../yaml/structure.ts';
import { attempt, type QueryContext } from './context.ts';

/** The queries that parse; findings of the others are reported. */
export function parseAll(queries: readonly QueryText[], context: Pick<QueryContext, 'report'>): Select[] {
  return queries.flatMap((query) => {
    const parsed = attempt(context, () => parse(query), null);
    if (parsed === null) return [];
    for (const { code, message, start, end } of parsed.warnings)
      context.report('warning', code, message, { start, end });
    return [parsed.select];
  });
}

/** What is not finished. */
const TOO_SHORT: readonly string[] = ['PSYNC_R2102', 'PSYNC_R2103'];

function parse({ sql, locate, comment }: QueryText): ParsedQuery {
  try {
    return parseQuery(sql, locate);
  } catch (error) {
    if (comment === null || !(error instanceof SqlError) || !TOO_SHORT.includes(error.code)) throw error;
    const message = 'The query ends here: YAML reads # as a comment; write the query after >-.';
    throw new SqlError(error.code, message, { start: comment, end: comment + 1 });
  }
}
