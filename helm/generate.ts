/** Writes the generated files of the chart: `node helm/generate.ts`. `helm/generated.test.ts` checks that they are there. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { chartFolder, generatedFiles } from './generated.ts';

for (const [path, text] of generatedFiles()) {
  mkdirSync(dirname(chartFolder + path), { recursive: true });
  writeFileSync(chartFolder + path, text);
  process.stdout.write(`helm/millrace/${path}\n`);
}
