import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { METRICS_PAGE, metricsPage } from './metrics-reference.ts';

test('docs/metrics.md says what there is (write it anew: node cli/metrics-reference.ts)', async () => {
  expect(await readFile(METRICS_PAGE, 'utf8')).toBe(metricsPage());
});
