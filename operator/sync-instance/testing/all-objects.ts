import type { V1PodTemplateSpec } from '@kubernetes/client-node';
import type { DesiredInput, KubeObject } from '../desired/contract.ts';
import { desiredObjects } from '../desired/desired.ts';
import { migrationJob, teardownJob } from '../desired/jobs.ts';

/** Everything that the operator would ever apply or create for an instance, apart from its admin token. */
export function allObjects(input: DesiredInput): KubeObject[] {
  return [...desiredObjects(input).map(({ object }) => object), migrationJob(input), teardownJob(input)];
}

interface WithTemplate {
  readonly spec?: { readonly template?: V1PodTemplateSpec; readonly jobTemplate?: WithTemplate };
}

/** The pod that an object makes, if it makes one. */
export function templateOf(object: object): V1PodTemplateSpec | undefined {
  const { spec } = object as WithTemplate;
  return spec?.template ?? (spec?.jobTemplate && templateOf(spec.jobTemplate));
}
