import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Document } from 'yaml';
import { allObjects } from '../testing/all-objects.ts';
import { GOLDEN_FOLDER, GOLDEN_NAMES, goldenInstance, inputFor } from '../testing/golden-instances.ts';

/** `GOLDEN=write vitest run operator/sync-instance/desired/golden.test.ts` writes the files; read what changed before you commit it. */
const isWriting = process.env['GOLDEN'] === 'write';

describe.each(GOLDEN_NAMES)('%s', (name) => {
  test('the objects are those of the golden file', () => {
    const path = new URL(`${name}.objects.yaml`, GOLDEN_FOLDER);
    const documents = allObjects(inputFor(goldenInstance(name))).map((object) =>
      // Through JSON, as it goes over the wire.
      new Document(JSON.parse(JSON.stringify(object)), { aliasDuplicateObjects: false }).toString({ lineWidth: 0 }),
    );
    const text = documents.join('---\n');
    if (isWriting) writeFileSync(path, text);
    expect(readFileSync(path, 'utf8')).toBe(text);
  });
});
