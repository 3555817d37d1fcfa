/** For tests: pieces of SQL in our dialect and, meaning the same, in SQLite's. */

/**
 * Names of tables and columns stand in ours as `«items»`, since the schema says how they are written. Parameters stand in theirs as
 * `:auth_a`, so that one statement serves all people.
 */
export interface Sql {
  readonly ours: string;
  readonly theirs: string;
}

export const same = (text: string): Sql => ({ ours: text, theirs: text });

export const sql = (strings: TemplateStringsArray, ...parts: readonly (Sql | string)[]): Sql => {
  const build = (of: (part: Sql | string) => string): string =>
    strings.reduce((text, string, at) => text + of(parts[at - 1] ?? '') + string);
  return {
    ours: build((part) => (typeof part === 'string' ? part : part.ours)),
    theirs: build((part) => (typeof part === 'string' ? part : part.theirs)),
  };
};

export const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
export const quotedName = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** SQLite fails on text that is no JSON; ours has no elements and no members there. Blobs are never JSON (S-92). */
export const validJson = (text: string): string =>
  `CASE WHEN typeof(${text}) <> 'blob' AND json_valid(${text}) THEN ${text} END`;
/** IN and && look into arrays only. */
export const arrayJson = (text: string): string =>
  `CASE WHEN typeof(${text}) = 'text' AND json_valid(${text}) THEN CASE WHEN json_type(${text}) = 'array' THEN ${text} END END`;

/** `left IN array`, where the array is JSON text. What is none has no members and no non-members: neither IN nor NOT IN holds. */
export const inArray = (left: Sql, json: Sql, not: '' | 'NOT ' = ''): Sql => {
  const array = arrayJson(json.theirs);
  return {
    ours: `${left.ours} ${not}IN ${json.ours}`,
    theirs: `CASE WHEN ${array} IS NOT NULL THEN ${left.theirs} ${not}IN (SELECT value FROM json_each(${array})) END`,
  };
};
