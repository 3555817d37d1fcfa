/** Which test files a command line means. */
import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/** Files named like this are found in folders; a file that is named itself may be called anything. */
const TEST_FILE = /\.sync-test\.ya?ml$/;
/** Folders below one that is named. */
const MAX_DEPTH = 20;
const MAX_ENTRIES = 200_000;

export interface FoundFiles {
  /** As they are shown: the path that was given, and what is below it. In order, each once. */
  readonly files: readonly string[];
  /** What could not be looked at, and folders without test files; for people. */
  readonly problems: readonly string[];
}

/**
 * Looks in folders for `*.sync-test.yaml`, not in `node_modules`, folders that begin with a dot, and symbolic links.
 *
 * @param paths files and folders, from `workingFolder` on; none: the working folder
 */
export async function findTestFiles(paths: readonly string[], workingFolder: string): Promise<FoundFiles> {
  const files = new Map<string, string>();
  const problems: string[] = [];
  let entries = 0;

  const search = async (folder: string, depth: number): Promise<string[]> => {
    if (depth > MAX_DEPTH) {
      problems.push(`${folder}: folders are nested deeper than ${MAX_DEPTH} levels here; name the one with the tests.`);
      return [];
    }
    const found: string[] = [];
    const below = await readdir(resolve(workingFolder, folder), { withFileTypes: true });
    for (const entry of below.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      if (++entries > MAX_ENTRIES) {
        problems.push(`${folder}: more than ${MAX_ENTRIES} files were looked at; name the folder with the tests.`);
        return found;
      }
      if (entry.isFile() && TEST_FILE.test(entry.name)) found.push(join(folder, entry.name));
      else if (entry.isDirectory() && entry.name !== 'node_modules' && !entry.name.startsWith('.'))
        found.push(...(await search(join(folder, entry.name), depth + 1)));
    }
    return found;
  };

  for (const path of paths.length === 0 ? ['.'] : paths) {
    try {
      const isFolder = (await stat(resolve(workingFolder, path))).isDirectory();
      const found = isFolder ? await search(path, 0) : [path];
      if (found.length === 0) problems.push(`${path}: there is no file *.sync-test.yaml in this folder or below.`);
      for (const file of found) files.set(resolve(workingFolder, file), file);
    } catch (error) {
      problems.push(`${path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { files: [...files.values()], problems };
}
