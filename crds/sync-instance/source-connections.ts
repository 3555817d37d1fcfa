import { Type } from 'typebox';
import {
  authorities,
  clientCertificate,
  database,
  heartbeatIntervalSeconds,
  host,
  hostNeedsLogin,
  login,
  oneUserName,
  postgresEndpoint,
  postgresEndpointRules,
  rejectIpRanges,
  tlsServerName,
  uriOrHost,
  uriSecretRef,
  wholeClientCertificate,
} from './connections.ts';
import { secretKeyRef } from './metadata-names.ts';
import { choice, count, flag, isHttpAddress, rule, section, text } from './schema-parts.ts';

/** How to reach each kind of source database: the documented keys of. */

const pollingIntervalMilliseconds = count('Milliseconds between polls.', {
  minimum: 10,
  maximum: 3_600_000,
  default: 1000,
});

export const PostgresSource = section(
  'A Postgres server with logical replication.',
  {
    ...postgresEndpoint,
    heartbeatIntervalSeconds,
    snapshotSocketTimeoutSeconds: Type.Optional(
      count('Seconds without data after which a query of the initial copy fails.', { minimum: 1, maximum: 86_400 }),
    ),
    slotNamePrefix: text('Start of the names of replication slots. Immutable: slots are found again by their names.', {
      maxLength: 40,
      pattern: '^[a-z0-9_]+$',
      default: 'powersync_',
      rules: [
        rule('self == oldSelf', 'slotNamePrefix is immutable: replication slots of the old name would stay behind.'),
      ],
    }),
  },
  { rules: postgresEndpointRules },
);

export const MongodbSource = section(
  'A MongoDB replica set.',
  {
    uriSecretRef: secretKeyRef('Secret with the connection URI: `mongodb://` or `mongodb+srv://`.'),
    database,
    ...login,
    // Words of our own: `off` is the boolean false in the YAML of kubectl.
    postImages: choice(
      'Use of post-images: `Disabled` reads documents again, `AutoConfigure` switches them on for the collections, `ReadOnly` takes it that they are on.',
      ['Disabled', 'AutoConfigure', 'ReadOnly'],
      { default: 'Disabled' },
    ),
    heartbeatIntervalSeconds,
    rejectIpRanges,
  },
  { rules: [oneUserName] },
);

export const MysqlSource = section(
  'A MySQL server with a row binlog and GTIDs.',
  {
    uriSecretRef: uriSecretRef('`mysql://user:password@host:3306/database`'),
    ...host(3306),
    database,
    ...login,
    caSecretRef: authorities,
    ...clientCertificate,
    serverId: Type.Optional(
      count(
        'Id of the replication client, unique among all replicas of the server. Default: one derived from the instance.',
        {
          minimum: 1,
          maximum: 2 ** 32 - 1,
        },
      ),
    ),
    binlogQueueMemoryLimitMegabytes: count('Megabytes of queued binlog events before reading waits.', {
      minimum: 1,
      maximum: 65_536,
      default: 50,
    }),
    rejectIpRanges,
  },
  { rules: [...uriOrHost, hostNeedsLogin, oneUserName, wholeClientCertificate] },
);

const SqlServerAuthentication = section(
  'Login of a service principal of Microsoft Entra ID, instead of user name and password.',
  {
    type: choice('Way to authenticate.', ['azure-active-directory-service-principal-secret']),
    clientId: text('Client id of the service principal.', { maxLength: 256 }),
    tenantId: text('Id of its tenant.', { maxLength: 256 }),
    clientSecretRef: secretKeyRef('Secret with the client secret.'),
  },
);

export const MssqlSource = section(
  'A SQL Server with change data capture.',
  {
    uriSecretRef: uriSecretRef('`mssql://user:password@host:1433/database`'),
    ...host(1433),
    database,
    ...login,
    authentication: Type.Optional(SqlServerAuthentication),
    caSecretRef: authorities,
    tlsServerName,
    trustServerCertificate: flag('Accept any certificate of the server. For local use only.', false),
    schema: text('Schema of tables that are named without one.', { maxLength: 128, default: 'dbo' }),
    pollingIntervalMilliseconds,
    pollingBatchSize: count('Transactions read per poll.', { minimum: 1, maximum: 100_000, default: 10 }),
    heartbeatIntervalSeconds,
    rejectIpRanges,
  },
  {
    rules: [
      ...uriOrHost,
      oneUserName,
      rule(
        '!has(self.hostname) || has(self.authentication) || (has(self.passwordSecretRef) && (has(self.username) || has(self.usernameSecretRef)))',
        'Beside hostname give authentication, or passwordSecretRef and one of username and usernameSecretRef.',
      ),
      rule('!has(self.hostname) || has(self.database)', 'Beside hostname give database.'),
      rule(
        '!has(self.authentication) || !(has(self.username) || has(self.usernameSecretRef) || has(self.passwordSecretRef))',
        'Give either authentication or a user name and password, not both.',
      ),
      rule(
        '!self.trustServerCertificate || !(has(self.caSecretRef) || has(self.tlsServerName))',
        'trustServerCertificate accepts any certificate: remove caSecretRef and tlsServerName, or set it to false.',
      ),
    ],
  },
);

export const ConvexSource = section('A Convex deployment.', {
  deploymentUrl: text('Address of the deployment, for example `https://happy-otter-1.convex.cloud`.', {
    maxLength: 2048,
    rules: [rule(isHttpAddress, 'deploymentUrl must be an http or https address.')],
  }),
  deployKeySecretRef: secretKeyRef('Secret with the deploy key. It needs the permission deployment:data:view.'),
  pollingIntervalMilliseconds,
  requestTimeoutMilliseconds: count('Milliseconds until a request fails.', {
    minimum: 100,
    maximum: 3_600_000,
    default: 60_000,
  }),
  rejectIpRanges,
});
