import { createHash } from 'node:crypto';
import { compileSyncConfig } from '#core/sync-config/compile.ts';
import type { CompileResult, CompileSyncConfig } from '#core/sync-config/contract.ts';

const MOST_REMEMBERED = 200;

/** The compiler, which answers at once what it was asked before: instances are looked at every few seconds. */
export function createCompileCache(): CompileSyncConfig {
  const known = new Map<string, CompileResult>();
  return (text, options) => {
    const key = createHash('sha256').update(JSON.stringify(options)).update('\n').update(text).digest('base64');
    const result = known.get(key) ?? compileSyncConfig(text, options);
    known.delete(key);
    known.set(key, result);
    if (known.size > MOST_REMEMBERED) known.delete(known.keys().next().value!);
    return result;
  };
}
