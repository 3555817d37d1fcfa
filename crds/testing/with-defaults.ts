import { syncInstanceSchema } from '../definition.ts';
import type { StructuralSchema } from '../structural-schema.ts';
import type { SyncInstance } from '../sync-instance/sync-instance.ts';

/**
 * A manifest with the defaults that the API server would put in, for tests without one. A test compares the two
 * for every valid example. Nothing is checked, and nothing is pruned.
 */
export function withDefaults(manifest: unknown): SyncInstance {
  const object = structuredClone(manifest);
  fill(object, syncInstanceSchema());
  return object as SyncInstance;
}

function fill(value: unknown, schema: StructuralSchema): void {
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const item of value) fill(item, schema.items);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  const fields = value as Record<string, unknown>;
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    if (fields[name] === undefined && field.default !== undefined) fields[name] = structuredClone(field.default);
    fill(fields[name], field);
  }
}
