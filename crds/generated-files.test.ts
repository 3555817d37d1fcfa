import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { generatedFiles } from './generated-files.ts';

const root = join(import.meta.dirname, '..');

test.each(generatedFiles())('$path is what the definition says (npm run -s crds)', async ({ path, content }) => {
  expect(await readFile(join(root, path), 'utf8')).toBe(content);
});
