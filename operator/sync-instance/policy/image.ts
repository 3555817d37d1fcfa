import type { ImageSpec } from '#crds/sync-instance/image.ts';

/** The image of the data plane: what the resource says, else what the operator was given. A digest wins over a tag. */
export function resolveImage(image: Pick<ImageSpec, 'repository' | 'tag' | 'digest'>, defaultImage: string): string {
  const { repository, rest } = partsOf(defaultImage);
  const base = image.repository ?? repository;
  if (image.digest !== undefined) return `${base}@${image.digest}`;
  if (image.tag !== undefined) return `${base}:${image.tag}`;
  // A digest belongs to one repository; mirrors keep it, so it goes along like a tag.
  return base + rest;
}

/** `rest` begins with `:` or `@`, or is empty. A registry may have a port. */
function partsOf(reference: string): { readonly repository: string; readonly rest: string } {
  const at = reference.indexOf('@');
  const colon = reference.indexOf(':', reference.lastIndexOf('/', at < 0 ? undefined : at) + 1);
  const end = colon >= 0 && (at < 0 || colon < at) ? colon : at;
  return end < 0
    ? { repository: reference, rest: '' }
    : { repository: reference.slice(0, end), rest: reference.slice(end) };
}
