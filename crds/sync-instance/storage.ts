import { Type } from 'typebox';
import {
  database,
  login,
  maxPoolSize,
  oneUserName,
  postgresEndpoint,
  postgresEndpointRules,
  rejectIpRanges,
} from './connections.ts';
import { secretKeyRef } from './metadata-names.ts';
import { choice, rule, section, text } from './schema-parts.ts';

const storageTypes = ['mongodb', 'postgresql'] as const;

const MongodbStorage = section(
  'Bucket storage in a MongoDB replica set.',
  {
    uriSecretRef: secretKeyRef(
      'Secret with the connection URI: `mongodb://` or `mongodb+srv://`; its path names the database.',
    ),
    database,
    ...login,
    maxPoolSize,
    rejectIpRanges,
  },
  { rules: [oneUserName] },
);

const PostgresStorage = section('Bucket storage in a Postgres database.', postgresEndpoint, {
  rules: postgresEndpointRules,
});

/** O-37 to O-47. Which database it is may change (a restored copy, say); storage itself knows which instance owns it. */
export const Storage = section(
  'Bucket storage, owned by this instance alone.',
  {
    type: choice('Kind of database. Immutable.', storageTypes, {
      rules: [rule('self == oldSelf', 'storage.type is immutable: make another instance and move the clients to it.')],
    }),
    mongodb: Type.Optional(MongodbStorage),
    postgresql: Type.Optional(PostgresStorage),
  },
  {
    rules: storageTypes.map((type) =>
      rule(
        `(self.type == '${type}') == has(self.${type})`,
        `Give the section ${type} of storage when its type is ${type}, and only then.`,
      ),
    ),
  },
);

export const Redis = section(
  'Redis, which tells API workers of new data at once, and keeps the lease of replicators. Without it workers poll storage, and a source has one pod.',
  {
    uriSecretRef: secretKeyRef('Secret with the URI: `redis://` or `rediss://`.'),
    keyPrefix: Type.Optional(
      text('Start of the names of all keys. Default `millrace:NAMESPACE/NAME:`.', {
        maxLength: 200,
        pattern: '^[!-~]+$',
      }),
    ),
  },
);
