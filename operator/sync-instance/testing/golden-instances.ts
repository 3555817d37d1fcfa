import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import { withDefaults } from '#crds/testing/with-defaults.ts';
import type { DesiredInput } from '../desired/contract.ts';
import { shortHash } from '../desired/names.ts';

export const GOLDEN_FOLDER = new URL('../desired/golden/', import.meta.url);
export const GOLDEN_NAMES = ['minimal', 'full'] as const;

/** Instances beside the golden files: one with what must be given only, one with every kind of field. */
export function goldenInstance(name: (typeof GOLDEN_NAMES)[number]): SyncInstance {
  return withDefaults(parse(readFileSync(new URL(`${name}.instance.yaml`, GOLDEN_FOLDER), 'utf8')));
}

/** As the operator would ask, with values that never change. */
export function inputFor(instance: SyncInstance, other: Partial<DesiredInput> = {}): DesiredInput {
  return {
    instance,
    image: 'ghcr.io/millrace/millrace:0.1.0',
    hashOfValues: (references) => shortHash(JSON.stringify(references), 16),
    apiReplicas: instance.spec.api.replicas,
    stopped: false,
    operatorNamespace: 'millrace-system',
    ...other,
  };
}
