/** Bundles the demo page and finds the web SDK's worker files: all from node_modules, nothing from a CDN. */
import { createRequire } from 'node:module';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.wasm': 'application/wasm',
};

export interface StaticFile {
  readonly type: string;
  readonly body: Buffer;
}

/** Path below /demo -> file. Everything is held in memory: a few megabytes. */
export async function bundleDemo(project: string): Promise<ReadonlyMap<string, StaticFile>> {
  const { build, stop } = await import('esbuild');
  const page = join(project, 'demo', 'page');
  const result = await build({
    entryPoints: [join(page, 'app.ts')],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    write: false,
    minify: true,
    legalComments: 'none',
    logLevel: 'error',
    // Node-only parts that the SDK guards at run time.
    external: ['node:*'],
  }).finally(() => void stop());
  const files = new Map<string, StaticFile>();
  files.set('app.js', { type: TYPES['.js']!, body: Buffer.from(result.outputFiles[0]!.contents) });
  for (const name of ['index.html', 'style.css'])
    files.set(name, { type: TYPES[extname(name)]!, body: await readFile(join(page, name)) });
  const require = createRequire(import.meta.url);
  await addFolder(files, 'worker', join(dirname(require.resolve('@powersync/web')), '..', 'dist', 'worker'));
  return files;
}

async function addFolder(files: Map<string, StaticFile>, path: string, folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const type = TYPES[extname(entry.name)];
    if (entry.isDirectory()) await addFolder(files, `${path}/${entry.name}`, join(folder, entry.name));
    else if (type) files.set(`${path}/${entry.name}`, { type, body: await readFile(join(folder, entry.name)) });
  }
}
