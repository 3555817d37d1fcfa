import { dirname, join, normalize } from 'node:path/posix';

/** A source file by its path from the repository's root, with forward slashes. */
export type SourceFile = { path: string; text: string };

/** What a folder may import of ours, besides itself. The first rule whose folder holds the file applies. */
type Rule = { folder: string; may: string[] };

const rules: Rule[] = [
  { folder: 'core/platform', may: [] },
  { folder: 'core/protocol', may: ['core/platform/errors'] },
  { folder: 'core/sync-config', may: ['core/platform/errors'] },
  { folder: 'core/bucket-storage', may: ['core/platform', 'core/protocol', 'core/sync-config'] },
  // Coordination tells what was committed, in the terms of storage, but never stores.
  {
    folder: 'core/coordination',
    may: ['core/platform', 'core/protocol', 'core/sync-config', 'core/bucket-storage/contract.ts'],
  },
  { folder: 'core', may: ['core'] },
  // Source modules are the replicator's own business, buckets everybody's but the operator's.
  { folder: 'operator', may: ['core/platform', 'core/protocol', 'core/sync-config', 'core/coordination', 'crds'] },
  { folder: 'crds', may: [] },
  // The chart; what generates its files reads the operator's and the processes' names of things.
  { folder: 'helm', may: ['core/platform', 'operator', 'crds'] },
  { folder: 'replicator', may: ['core'] },
  { folder: 'api-worker', may: ['core'] },
  { folder: 'compactor', may: ['core'] },
];

/** They put the parts together, or look at all of them. */
const everythingAllowed = ['cli', 'test', 'bench', 'demo', '.ci'];

const longestFile = 450;

/** What breaks a rule of the layout, one line each, beginning with the file. */
export function violations(files: SourceFile[]): string[] {
  return files.flatMap((file) => [...importViolations(file), ...tidyViolations(file)]).toSorted();
}

function importViolations(file: SourceFile): string[] {
  const found: string[] = [];
  const rule = rules.find(({ folder }) => isIn(file.path, folder));
  for (const name of imports(file.text)) {
    if (name.startsWith('@powersync/service-')) found.push(`${file.path}: imports ${name}, which is not ours to use`);
    const target = ownPath(file.path, name);
    if (target === undefined || isTest(file.path) || hasFreeHand(file.path)) continue;
    if (isTest(target)) found.push(`${file.path}: imports ${target}, which is for tests`);
    else if (rule === undefined) found.push(`${file.path}: stands in no known layer; add its folder to test/layers.ts`);
    else if (![rule.folder, ...rule.may].some((allowed) => target === allowed || isIn(target, allowed))) {
      found.push(
        `${file.path}: imports ${target}; ${rule.folder} may import ${rule.may.join(', ') || 'nothing of ours'}`,
      );
    }
  }
  return found;
}

function tidyViolations({ path, text }: SourceFile): string[] {
  const found: string[] = [];
  const lines = text.split('\n').length - 1;
  if (lines > longestFile && !/^\/\/ over 450 lines because: \S/m.test(text)) {
    found.push(`${path}: ${lines} lines; split it, or say why not in a line "// over 450 lines because: …"`);
  }
  if (/(^|\/)utils?(\/|\.[cm]?[tj]s$)/.test(path)) found.push(`${path}: "utils" says nothing; name what it is about`);
  if (/(^|\/)index\.[cm]?[tj]s$/.test(path))
    found.push(`${path}: no index files; import from where a thing is defined`);
  if (!isTest(path) && !hasFreeHand(path) && /^(?!\s*(\/\/|\*)).*\bconsole\.\w+\(/m.test(text)) {
    found.push(`${path}: writes to the console; take a logger`);
  }
  return found;
}

/** Names of imported modules: static, dynamic, for side effects, and of types. */
function imports(text: string): string[] {
  const pattern = /(?:^|[^\w.])(?:import|from)\s*\(?\s*(['"])([^'"\n]+)\1/g;
  return [...text.matchAll(pattern)].map((match) => match[2]!);
}

/** Where an import leads within the repository; undefined: out of it. */
function ownPath(importer: string, name: string): string | undefined {
  if (name.startsWith('#')) return name.slice(1);
  if (name.startsWith('.')) return normalize(join(dirname(importer), name));
  return undefined;
}

function isIn(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`);
}

/** Tests, what stands beside them for their use, and the conformance suites that the implementations of a contract share. */
function isTest(path: string): boolean {
  return /\.(test|fixture)\.ts$|-for-tests\.ts$|(^|\/)test-[^/]*\.ts$|(^|\/)testing\/|(^|\/)conformance(\/|\.ts$)/.test(
    path,
  );
}

function hasFreeHand(path: string): boolean {
  return everythingAllowed.some((folder) => isIn(path, folder)) || !path.includes('/');
}
