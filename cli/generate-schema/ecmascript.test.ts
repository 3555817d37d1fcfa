/** TypeScript and JavaScript, run with the real SDK's classes: what comes out are the tables, columns and streams that went in. */
import { transformSync } from 'esbuild';
import fc from 'fast-check';
import * as sdk from '@powersync/common';
import { describe, expect, test } from 'vitest';
import type { ClientSchema } from '#core/sync-config/client-schema.ts';
import type { SchemaLanguage } from './contract.ts';
import { SCHEMA_EMITTERS } from './registry.ts';
import { ordinarySchema, randomSchema } from './testing/random-schemas.ts';

const RUNS = { numRuns: Number(process.env['RUNS'] ?? 100) };
type ScriptLanguage = Extract<SchemaLanguage, 'ts' | 'js' | 'jsLegacy'>;
/** `jsLegacy` is for SDKs before 2.0; what was their `Table` is `ResolvedTable` there. */
const CLASSES = { ts: sdk, js: sdk, jsLegacy: { ...sdk, Table: sdk.ResolvedTable } } as const;

interface Exports {
  readonly AppSchema: sdk.Schema;
  readonly typedStreams?: (db: object) => Readonly<Record<string, (params?: object) => unknown>>;
}

/** Runs the file; its imports are the SDK's classes. */
function run(language: ScriptLanguage, schema: ClientSchema): Exports {
  const source = SCHEMA_EMITTERS[language](schema);
  const { code, warnings } = transformSync(source, { loader: language === 'ts' ? 'ts' : 'js', format: 'cjs' });
  expect(warnings).toEqual([]);
  const module = { exports: {} as Exports };
  const require = (name: string): object => {
    if (name !== '@powersync/web') throw new Error(`imports ${name}`);
    return CLASSES[language];
  };
  // oxlint-disable-next-line typescript/no-implied-eval, no-new-func -- what is tested is a program
  new Function('require', 'module', 'exports', code)(require, module, module.exports);
  return module.exports;
}

/** By name: keys that look like numbers move to the front of an object. */
const sorted = <T extends { name: string }>(items: readonly T[]): T[] =>
  items.toSorted((a, b) => (a.name < b.name ? -1 : 1));
interface SchemaJson {
  tables: { name: string; view_name: string; columns: { name: string; type: string }[]; indexes: unknown[] }[];
}

describe.each(['ts', 'js', 'jsLegacy'] as const)('%s', (language) => {
  test('AppSchema has exactly these tables and columns', () => {
    fc.assert(
      fc.property(randomSchema, (schema) => {
        const { tables } = run(language, schema).AppSchema.toJSON() as SchemaJson;
        expect(sorted(tables)).toMatchObject(
          sorted(schema.tables).map(({ name }) => ({ name, view_name: name, indexes: [], local_only: false })),
        );
        const columnsOf = (all: readonly { name: string; columns: readonly { name: string; type: string }[] }[]) =>
          sorted(all).map(({ columns }) =>
            sorted(columns).map(({ name, type }) => ({ name, type: type.toUpperCase() })),
          );
        expect(columnsOf(tables)).toEqual(columnsOf(schema.tables));
      }),
      RUNS,
    );
  });

  test('the SDK accepts the schema, except for names of which a comment says that it does not', () => {
    fc.assert(
      fc.property(randomSchema, (schema) => {
        const { AppSchema } = run(language, schema);
        const said = SCHEMA_EMITTERS[language](schema).includes('// Client SDKs refuse this name');
        expect(refuses(() => AppSchema.validate())).toBe(said);
      }),
      RUNS,
    );
    expect(() => run(language, ordinarySchema).AppSchema.validate()).not.toThrow();
  });

  test('typedStreams subscribes to exactly these streams, and passes parameters on as they are (O-275)', () => {
    fc.assert(
      fc.property(randomSchema, (schema) => {
        const { typedStreams } = run(language, schema);
        expect(typedStreams === undefined).toBe(schema.streams.length === 0);
        const streams = typedStreams?.({ syncStream: (...words: unknown[]) => words }) ?? {};
        expect(Object.keys(streams).toSorted()).toEqual(schema.streams.map(({ name }) => name).toSorted());
        for (const { name, parameters } of schema.streams) {
          const given = Object.fromEntries(parameters.map((parameter, at) => [parameter, at]));
          expect(streams[name]!(given)).toEqual(parameters.length === 0 ? [name] : [name, given]);
        }
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

function refuses(action: () => void): boolean {
  try {
    action();
    return false;
  } catch {
    return true;
  }
}
