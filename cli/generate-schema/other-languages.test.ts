/** Dart, Kotlin, Swift and C#: whatever the names are, the text holds them and nothing else (O-272…O-276). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SCHEMA_EMITTERS } from './registry.ts';
import { randomSchema } from './testing/random-schemas.ts';
import { readBack, type ReadLanguage } from './testing/read-back.ts';

const RUNS = { numRuns: Number(process.env['RUNS'] ?? 200) };
const LANGUAGES: readonly ReadLanguage[] = ['dart', 'kotlin', 'swift', 'dotNet'];

describe.each(LANGUAGES)('%s', (language) => {
  /** Swift's texts hold whole characters only. */
  const written = (name: string): string => (language === 'swift' ? name.toWellFormed() : name);

  test('tables, columns, streams and parameters are read back as they were', () => {
    fc.assert(
      fc.property(randomSchema, ({ tables, streams }) => {
        const read = readBack(language, SCHEMA_EMITTERS[language]({ tables, streams }));
        expect(read.tables).toEqual(
          tables.map(({ name, columns }) => ({
            name: written(name),
            columns: columns.map((column) => ({ name: written(column.name), type: column.type })),
          })),
        );
        expect(read.streams.map(({ name, parameters }) => ({ name, parameters }))).toEqual(
          streams.map(({ name, parameters }) => ({ name: written(name), parameters: parameters.map(written) })),
        );
      }),
      RUNS,
    );
  });

  test('identifiers are no keywords, all different, and each parameter is used under the name it has', () => {
    fc.assert(
      fc.property(randomSchema, (schema) => {
        const { streams, keywords } = readBack(language, SCHEMA_EMITTERS[language](schema));
        for (const names of [streams.map(({ identifier }) => identifier), ...streams.map(({ declared }) => declared)]) {
          expect(new Set(names).size).toBe(names.length);
          for (const name of names) {
            expect(name).toMatch(/^[A-Za-z]\w*$/);
            expect(keywords).not.toContain(name);
          }
        }
        for (const { declared, used } of streams) expect(used).toEqual(declared);
      }),
      RUNS,
    );
  });

  test('lines hold nothing that an editor hides, and end in one way', () => {
    fc.assert(
      fc.property(randomSchema, (schema) => {
        const text = SCHEMA_EMITTERS[language](schema);
        expect(text).toMatch(/[^\n]\n$/);
        expect(text).not.toMatch(/[^\P{C}\n]|[^\P{Z} ]/u);
      }),
      RUNS,
    );
  });
});
