/** `node api-worker/inspector/build.ts`: bundles the inspector's page into `dist/`, for installations without development dependencies. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bundlePage } from './bundle-page.ts';
import { BUILT_FOLDER, PAGE_FOLDER } from './inspector-files.ts';

const files = await bundlePage(PAGE_FOLDER);
await rm(BUILT_FOLDER, { recursive: true, force: true });
for (const [path, { body }] of files) {
  const target = join(BUILT_FOLDER, path);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, body);
}
