import { parseAllDocuments } from 'yaml';
import type { Helm } from '#test/services/helm.ts';
import { writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chartFolder } from './generated.ts';

type Metadata = {
  name: string;
  namespace?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
};

/** An object of the cluster, as a template rendered it. */
// eslint-disable-next-line typescript/no-explicit-any -- tests look at any field of any kind
export type Rendered = { apiVersion: string; kind: string; metadata: Metadata } & Record<string, any>;

/** A version of Kubernetes that the chart supports: helm asks no cluster when it only renders. */
export const kubeVersion = ['--kube-version', '1.34.0'];

/** What `helm template` makes of the chart with these values, as text. */
export async function renderText(helm: Helm, values: object, ...words: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-chart-'));
  try {
    const file = join(folder, 'values.yaml');
    await writeFile(file, JSON.stringify(values));
    const options = ['--namespace', 'millrace-system', ...kubeVersion, '--values', file, ...words];
    return await helm('template', 'demo', chartFolder, ...options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The custom resource definition is most of the chart, and has tests of its own. */
export const withoutDefinition = { crds: { enabled: false } };

/** The objects of the chart with these values; the custom resource definition only where they say so. */
export async function render(helm: Helm, values: object = {}, ...words: string[]): Promise<Rendered[]> {
  const documents = parseAllDocuments(await renderText(helm, { ...withoutDefinition, ...values }, ...words));
  return documents.map((document) => document.toJS() as Rendered | null).filter((object) => object !== null);
}

/** The object of a kind, and of a name where there are several. Throws when it is not there. */
export function find(objects: readonly Rendered[], kind: string, name?: string): Rendered {
  const found = objects.filter(
    (object) => object.kind === kind && (name === undefined || object.metadata.name === name),
  );
  if (found.length !== 1) {
    const present = objects.map((object) => `${object.kind}/${object.metadata.name}`).join(', ');
    throw new Error(`${found.length} objects of ${kind} ${name ?? ''} among ${present}`);
  }
  return found[0]!;
}
