/** Where the inspector's page comes from: bundled from its sources in a checkout, or built with the image. */
import { fileURLToPath } from 'node:url';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { bundlePage, readPage, type PageFiles } from './bundle-page.ts';

export const PAGE_FOLDER = fileURLToPath(new URL('page', import.meta.url));
/** Written by `build.ts`; not in the repository. */
export const BUILT_FOLDER = fileURLToPath(new URL('dist', import.meta.url));

/**
 * The sources win, so that nothing built long ago hides a change of them. Throws PSYNC_S2001 (501) where neither the tools to bundle
 * nor a built page are installed.
 */
export async function loadInspectorFiles(
  bundle: () => Promise<PageFiles> = () => bundlePage(PAGE_FOLDER),
  built = BUILT_FOLDER,
): Promise<PageFiles> {
  try {
    return await bundle();
  } catch (error) {
    if (!isMissing(error, 'ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND')) throw error;
  }
  try {
    return await readPage(built);
  } catch (error) {
    if (!isMissing(error, 'ENOENT')) throw error;
  }
  throw codedError(
    'PSYNC_S2001',
    'The page of the inspector is not installed: run "npm install" with the development dependencies, or "node api-worker/inspector/build.ts" where they are and copy api-worker/inspector/dist; the image has it',
    { status: 501 },
  );
}

function isMissing(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException).code ?? '');
}
