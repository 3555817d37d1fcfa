import { type Static, Type } from 'typebox';
import { SourceName } from './metadata-names.ts';
import { podSettings } from './pods.ts';
import { choice, count, flag, listByKey, rule, section } from './schema-parts.ts';
import { ConvexSource, MongodbSource, MssqlSource, MysqlSource, PostgresSource } from './source-connections.ts';

const sourceTypes = ['postgresql', 'mongodb', 'mysql', 'mssql', 'convex'] as const;

const Source = section(
  'A source database, read by a Deployment of its own.',
  {
    name: SourceName,
    type: choice('Kind of database. Immutable.', sourceTypes, {
      rules: [
        rule('self == oldSelf', 'The type of a source is immutable: add a source of another name and remove this one.'),
      ],
    }),
    postgresql: Type.Optional(PostgresSource),
    mongodb: Type.Optional(MongodbSource),
    mysql: Type.Optional(MysqlSource),
    mssql: Type.Optional(MssqlSource),
    convex: Type.Optional(ConvexSource),
    debugApi: flag('Allow queries on this connection through the admin API.', false),
    replicas: count(
      'Pods: one leads, the others stand by and take over within seconds. Without `redis` there is one.',
      {
        minimum: 1,
        maximum: 5,
        default: 2,
      },
    ),
    ...podSettings,
  },
  {
    rules: sourceTypes.map((type) =>
      rule(
        `(self.type == '${type}') == has(self.${type})`,
        `Give the section ${type} when type is ${type}, and only then.`,
      ),
    ),
  },
);

export const Sources = listByKey('Source databases, each known by its name.', Source, {
  key: 'name',
  minItems: 1,
  maxItems: 20,
});

export type SourceSpec = Static<typeof Source>;
