import { Type } from 'typebox';
import { configMapKeyRef } from './metadata-names.ts';
import { choice, rule, section, text } from './schema-parts.ts';

/** O-32 to O-35, with plan and approval. Deployed beside the old one, without downtime; never restarts a pod. */
export const SyncConfig = section(
  'What is synced to whom: the sync config. A change is deployed beside the present one, which serves until then.',
  {
    // Together with the rest and its managed fields it must fit into a request to etcd (1.5 MiB).
    inline: Type.Optional(text('The sync config itself, as YAML text.', { maxLength: 500_000 })),
    configMapRef: Type.Optional(configMapKeyRef('ConfigMap with the sync config. It is watched.', 'sync-config.yaml')),
    approval: choice(
      '`Automatic` deploys a valid sync config at once. `Manual` waits until `approvedRevision` names it, so that `status.syncConfig.plan` can be read before.',
      ['Automatic', 'Manual'],
      { default: 'Automatic' },
    ),
    approvedRevision: text(
      'With approval Manual: the revision that may be deployed, as in `status.syncConfig.pending.revision`.',
      { minLength: 0, maxLength: 64, pattern: '^[A-Za-z0-9._-]*$', default: '' },
    ),
  },
  {
    rules: [
      rule(
        'has(self.inline) != has(self.configMapRef)',
        'Give the sync config once: either inline or configMapRef, not both and not neither.',
      ),
      rule(
        "self.approval == 'Manual' || self.approvedRevision == ''",
        'approvedRevision counts only with approval Manual: remove it or set approval to Manual.',
      ),
    ],
  },
);
