/** What values the types of a source have, told from their names alone (S chapter 8): for generated schemas and for tools (R-77, O-274). */
import type { ValueType } from '../result-types.ts';

export type SourceKind = 'postgresql' | 'mongodb' | 'mysql' | 'mssql' | 'convex';

/**
 * `valueTypeOf(kind, typeName)` in value-type-of.ts: the type that values of a column have, by the name that the source gives its type,
 * in any case, with or without parameters (`VARCHAR(20)`, `int(10) unsigned`). Null: the name says nothing, or all values are null.
 */
export type ValueTypeOf = (kind: SourceKind, typeName: string) => ValueType | null;

/** The same for one kind of source. */
export type TypeMapping = (typeName: string) => ValueType | null;
