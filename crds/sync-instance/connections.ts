import { type Static, Type } from 'typebox';
import { optionalSecretKeyRef } from './metadata-names.ts';
import { choice, count, list, rule, text } from './schema-parts.ts';

/** What connections to databases share, be they sources or bucket storage (R-4 to R-19, O-38 to O-41). */

export const uriSecretRef = (form: string) =>
  optionalSecretKeyRef(`Secret with the connection URI: ${form}. Separate fields win over its parts.`);

export const rejectIpRanges = list(
  'Addresses or ranges (CIDR) that are refused as addresses of the server; `local` stands for everything outside public unicast.',
  text('An address, a range or `local`.', { maxLength: 50, pattern: '^(local|[0-9a-fA-F.:]+(/[0-9]{1,3})?)$' }),
  { maxItems: 50, default: [] },
);

/** User and password. Each may be part of the URI instead. */
export const login = {
  username: Type.Optional(text('User name. Wins over that of the URI.', { maxLength: 256 })),
  usernameSecretRef: optionalSecretKeyRef('Secret with the user name, instead of `username`.'),
  passwordSecretRef: optionalSecretKeyRef('Secret with the password. Wins over that of the URI.'),
};

export const oneUserName = rule(
  '!(has(self.username) && has(self.usernameSecretRef))',
  'Give the user name once: username or usernameSecretRef.',
);

export const database = Type.Optional(
  text('Name of the database. Wins over that of the URI.', { maxLength: 128, pattern: '^[^\\x00-\\x1f]+$' }),
);

/** Where a server is, without a URI. */
export const host = (defaultPort: number) => ({
  hostname: Type.Optional(
    text('Host name or IP address, instead of a URI. Needs database, user name and password beside it.', {
      maxLength: 1024,
      pattern: '^[A-Za-z0-9._:, -]+$',
    }),
  ),
  // No default in the schema: it would win over the port of the URI.
  port: Type.Optional(
    count(`Port of the server. Without it the port of the URI counts, otherwise ${defaultPort}.`, {
      minimum: 1024,
      maximum: 65_535,
    }),
  ),
});

export const uriOrHost = [
  rule(
    'has(self.uriSecretRef) != has(self.hostname)',
    'Give either uriSecretRef or hostname, not both and not neither.',
  ),
  rule(
    '!has(self.port) || has(self.hostname)',
    'The port belongs beside hostname; with uriSecretRef it stands in the URI.',
  ),
];

export const hostNeedsLogin = rule(
  '!has(self.hostname) || (has(self.database) && has(self.passwordSecretRef) && (has(self.username) || has(self.usernameSecretRef)))',
  'Beside hostname give database, passwordSecretRef and one of username and usernameSecretRef.',
);

export const authorities = optionalSecretKeyRef(
  'Secret with the certificate authorities of the server, as PEM text with one or more certificates.',
);

export const tlsServerName = Type.Optional(
  text('Name to verify the certificate of the server against, if it is not the host name.', {
    maxLength: 253,
    pattern: '^[A-Za-z0-9._:-]+$',
  }),
);

export const clientCertificate = {
  clientCertificateSecretRef: optionalSecretKeyRef('Secret with a client certificate as PEM text.'),
  clientPrivateKeySecretRef: optionalSecretKeyRef('Secret with the private key of the client certificate as PEM text.'),
};

export const wholeClientCertificate = rule(
  'has(self.clientCertificateSecretRef) == has(self.clientPrivateKeySecretRef)',
  'A client certificate needs both clientCertificateSecretRef and clientPrivateKeySecretRef.',
);

export const maxPoolSize = Type.Optional(
  count('Connections that each process keeps open at most. Default 8.', { minimum: 1, maximum: 1000 }),
);

export const heartbeatIntervalSeconds = count(
  'Seconds between writes that keep the replication position moving while the source is idle.',
  { minimum: 5, maximum: 60, default: 60 },
);

/** How to reach a Postgres server, as source or as storage. */
export const postgresEndpoint = {
  uriSecretRef: uriSecretRef('`postgresql://user:password@host:5432/database`'),
  ...host(5432),
  database,
  ...login,
  sslMode: Type.Optional(
    choice(
      '`verify-full` checks certificate and host name, `verify-ca` the certificate only (needs `caSecretRef`), `disable` uses no TLS. Without it the URI counts, otherwise `verify-full`.',
      ['verify-full', 'verify-ca', 'disable'],
    ),
  ),
  caSecretRef: authorities,
  ...clientCertificate,
  tlsServerName,
  maxPoolSize,
  connectTimeoutSeconds: Type.Optional(
    count('Seconds until a connection attempt fails. Default 30.', { minimum: 1, maximum: 3600 }),
  ),
  rejectIpRanges,
};

export const postgresEndpointRules = [
  ...uriOrHost,
  hostNeedsLogin,
  oneUserName,
  wholeClientCertificate,
  rule(
    "!has(self.sslMode) || self.sslMode != 'verify-ca' || has(self.caSecretRef)",
    'sslMode verify-ca needs caSecretRef: public authorities do not count in this mode.',
  ),
  rule(
    "!has(self.sslMode) || self.sslMode != 'disable' || !(has(self.caSecretRef) || has(self.clientCertificateSecretRef) || has(self.tlsServerName))",
    'sslMode disable uses no certificates: remove caSecretRef, the client certificate and tlsServerName, or choose another sslMode.',
  ),
];

export type PostgresEndpointSpec = Static<ReturnType<typeof Type.Object<typeof postgresEndpoint>>>;
