/** How an ordinary schema looks in each language: for people to read. `vitest run -u` writes them anew. */
import { expect, test } from 'vitest';
import { SCHEMA_LANGUAGES } from './contract.ts';
import { SCHEMA_EMITTERS } from './registry.ts';
import { ordinarySchema } from './testing/random-schemas.ts';

test.each(SCHEMA_LANGUAGES)('%s', async (language) => {
  await expect(SCHEMA_EMITTERS[language](ordinarySchema)).toMatchFileSnapshot(`testing/golden/${language}.txt`);
});

test.each(SCHEMA_LANGUAGES)('%s: equal schemas give equal text', (language) => {
  const emit = SCHEMA_EMITTERS[language];
  expect(emit(structuredClone(ordinarySchema))).toBe(emit(ordinarySchema));
});

test.each(SCHEMA_LANGUAGES)('%s: without tables and streams', (language) => {
  const text = SCHEMA_EMITTERS[language]({ tables: [], streams: [] });
  expect(text).toMatch(/Schema/);
  expect(text).not.toMatch(/Table\b|Streams|Column\b/);
});
