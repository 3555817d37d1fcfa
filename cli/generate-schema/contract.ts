/** Source text of client schemas, for each language that has a client SDK (O-272…O-276). One file per language; `registry.ts` lists them. */
import type { ClientSchema } from '#core/sync-config/client-schema.ts';

export const SCHEMA_LANGUAGES = ['ts', 'js', 'jsLegacy', 'dart', 'kotlin', 'swift', 'dotNet'] as const;
export type SchemaLanguage = (typeof SCHEMA_LANGUAGES)[number];

/**
 * The whole file, ending with a newline: tables, and a function for each stream that is subscribed to. Equal schemas give equal text. Names
 * come from databases and configurations: whatever they hold, they stay within their literal or comment.
 */
export type EmitSchema = (schema: ClientSchema) => string;
