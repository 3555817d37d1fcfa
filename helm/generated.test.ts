import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { crdTemplate } from './crd-template.ts';
import { chartFolder, generatedFiles } from './generated.ts';
import { describedValues, type DescribedValue } from './values/described-values.ts';

const valuesText = readFileSync(`${chartFolder}values.yaml`, 'utf8');

describe('generated files of the chart', () => {
  const files = [...generatedFiles()];

  test.each(files)('%s is as `node helm/generate.ts` writes it', (path, text) => {
    expect(readFileSync(chartFolder + path, 'utf8')).toBe(text);
  });

  test('no dashboard stands there that nothing generates', () => {
    const expected = files.map(([path]) => path).filter((path) => path.startsWith('dashboards/'));
    const present = readdirSync(`${chartFolder}dashboards`).map((name) => `dashboards/${name}`);
    expect(present.toSorted()).toEqual(expected.toSorted());
  });
});

describe('values', () => {
  const schema = JSON.parse(readFileSync(`${chartFolder}values.schema.json`, 'utf8')) as Schema;

  test('every value is in values.yaml and in the schema, and the schema knows no others', () => {
    const inValues = paths(parse(valuesText), schema);
    expect(schemaPaths(schema).toSorted()).toEqual([...inValues, 'global'].toSorted());
  });

  test('each has a description, and its name is camelCase', () => {
    const check = (value: DescribedValue): void => {
      expect(value.path.at(-1)).toMatch(/^[a-z][a-zA-Z]*$/);
      if (value.values.length === 0) expect([value.path, value.description.length > 10]).toEqual([value.path, true]);
      for (const inner of value.values) check(inner);
    };
    for (const value of describedValues(valuesText)) check(value);
  });

  test('a value without a comment is refused', () => {
    expect(() => describedValues('# What it is.\na: 1\nb: 2\n')).toThrow('b has no comment above it');
  });
});

describe('template of a custom resource definition', () => {
  const definition =
    'kind: CustomResourceDefinition\nmetadata:\n  name: things.example.org\nspec:\n  group: example.org\n';

  test('braces in descriptions do not become templates', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z{} ]{0,30}$/), (description) => {
        const template = crdTemplate(`${definition}  # x${description}\n`);
        const line = template.split('\n').find((text) => text.startsWith('  # '))!;
        // What Helm does with `{{ "…" }}`, and with nothing else.
        const rendered = line.replaceAll(/\{\{ "(\{\{|\}\})" \}\}/g, '$1');
        expect(rendered.trimEnd()).toBe(`  # x${description}`.trimEnd());
        expect(line.replaceAll(/\{\{ "(\{\{|\}\})" \}\}/g, ' ')).not.toMatch(/\{\{|\}\}/);
      }),
    );
  });

  test('one that has annotations is refused rather than given two', () => {
    const annotated = definition.replace('spec:', '  annotations:\n    a: b\nspec:');
    expect(() => crdTemplate(annotated)).toThrow('labels or annotations already');
  });
});

type Schema = { properties?: Record<string, Schema>; additionalProperties?: unknown };

function schemaPaths(schema: Schema, path = ''): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => {
    const isGroup = inner.additionalProperties === false && inner.properties !== undefined;
    return isGroup ? schemaPaths(inner, `${path}${name}.`) : [`${path}${name}`];
  });
}

function paths(values: unknown, schema: Schema, path = ''): string[] {
  return Object.entries(values as Record<string, unknown>).flatMap(([name, value]) => {
    const inner = schema.properties?.[name];
    const isGroup = inner?.additionalProperties === false && inner.properties !== undefined;
    return isGroup ? paths(value, inner, `${path}${name}.`) : [`${path}${name}`];
  });
}
