import type { V1OwnerReference } from '@kubernetes/client-node';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import type { KubeObject } from './contract.ts';
import { filled } from './filled.ts';
import type { Labels } from './labels.ts';

interface Extra {
  readonly labels?: Labels;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Metadata of an object that belongs to the instance and goes with it. The operator's labels win over the user's. */
export function metadataOf(
  instance: SyncInstance,
  name: string,
  labels: Labels,
  extra: Extra = {},
): KubeObject['metadata'] {
  return {
    name,
    namespace: instance.metadata.namespace,
    labels: { ...extra.labels, ...labels },
    ...filled({ annotations: extra.annotations && { ...extra.annotations } }),
    ownerReferences: [ownerOf(instance)],
  };
}

function ownerOf({ apiVersion, kind, metadata }: SyncInstance): V1OwnerReference {
  const { name, uid } = metadata;
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** `app.kubernetes.io/version`, where the image has a tag that can be a label. Never part of a selector. */
export function versionLabel(image: string): Labels {
  const tag = /:([A-Za-z0-9][A-Za-z0-9._-]{0,61}[A-Za-z0-9]|[A-Za-z0-9])(?:@|$)/.exec(
    image.slice(image.lastIndexOf('/') + 1),
  );
  return tag?.[1] === undefined || image.includes('@') ? {} : { 'app.kubernetes.io/version': tag[1] };
}
