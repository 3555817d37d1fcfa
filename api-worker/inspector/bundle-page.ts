/** Bundles a page that uses the web SDK, and adds the SDK's worker files: all from node_modules, nothing from a CDN. */
import { createRequire } from 'node:module';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';

export interface PageFile {
  readonly type: string;
  readonly body: Buffer;
}

/** By path below the page's folder: `app.js`, `style.css`, `index.html`, `worker/worker.js`, … */
export type PageFiles = ReadonlyMap<string, PageFile>;

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.wasm': 'application/wasm',
};

/**
 * The files of a folder with `app.ts`, `style.css` and `index.html`, ready to serve. Held in memory: a few megabytes.
 * Needs esbuild and the web SDK, which are development dependencies: rejects with ERR_MODULE_NOT_FOUND without them.
 */
export function bundlePage(folder: string): Promise<PageFiles> {
  const files = last.then(() => bundle(folder));
  last = files.catch(() => undefined);
  return files;
}

/** One at a time: esbuild has one process, which the end of the first would take from the second. */
let last: Promise<unknown> = Promise.resolve();

async function bundle(folder: string): Promise<PageFiles> {
  const sdk = join(dirname(createRequire(import.meta.url).resolve('@powersync/web')), '..', 'dist', 'worker');
  const { build, stop } = await import('esbuild');
  const result = await build({
    entryPoints: [join(folder, 'app.ts'), join(folder, 'style.css')],
    outdir: folder,
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
  const files = new Map<string, PageFile>();
  for (const { path, contents } of result.outputFiles) addFile(files, path.slice(folder.length + 1), contents);
  addFile(files, 'index.html', await readFile(join(folder, 'index.html')));
  for (const [path, file] of await readPage(sdk)) files.set(`worker/${path}`, file);
  return files;
}

/** The files of a folder and those below it that a browser can use. Rejects with ENOENT when there is no such folder. */
export async function readPage(folder: string): Promise<PageFiles> {
  const files = new Map<string, PageFile>();
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    addFile(files, path.slice(folder.length + 1), await readFile(path));
  }
  return files;
}

function addFile(files: Map<string, PageFile>, path: string, contents: Uint8Array): void {
  const type = TYPES[extname(path)];
  if (type !== undefined) files.set(path.replaceAll('\\', '/'), { type, body: Buffer.from(contents) });
}
