import { type Static, Type } from 'typebox';
import { localRef } from './metadata-names.ts';
import { choice, listByKey, rule, section, text } from './schema-parts.ts';

export const Image = section(
  'Image of all parts. Another version migrates storage first, then rolls replicators, then API workers.',
  {
    repository: Type.Optional(
      text('Repository of the image. Default: that of the operator.', {
        maxLength: 255,
        pattern: '^[a-z0-9]([-a-z0-9._:]*[a-z0-9])?(/[a-z0-9]([-a-z0-9._]*[a-z0-9])?)*$',
      }),
    ),
    tag: Type.Optional(
      text('Tag of the image. Default: that of the operator.', {
        maxLength: 128,
        pattern: '^[A-Za-z0-9_][A-Za-z0-9._-]*$',
      }),
    ),
    digest: Type.Optional(
      text('Digest of the image, instead of a tag.', { maxLength: 71, pattern: '^sha256:[0-9a-f]{64}$' }),
    ),
    pullPolicy: choice('When the image is pulled.', ['IfNotPresent', 'Always', 'Never'], { default: 'IfNotPresent' }),
    pullSecrets: listByKey('Secrets with credentials for the registry.', localRef('A Secret.'), {
      key: 'name',
      maxItems: 10,
      default: [],
    }),
  },
  {
    default: {},
    rules: [rule('!(has(self.tag) && has(self.digest))', 'Give either the tag or the digest of the image, not both.')],
  },
);

/** @public */
export type ImageSpec = Static<typeof Image>;
