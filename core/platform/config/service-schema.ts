import { Type, type Static } from 'typebox';
import {
  flag,
  IpRanges,
  oneOfBy,
  optionalCount,
  optionalFlag,
  optionalNumber,
  optionalText,
  Port,
  STRICT,
  text,
} from './schema-parts.ts';
import { INSTANCE_ID } from './instance-id.ts';
import { LOG_FORMATS, LOG_LEVELS } from './service-config.ts';
import { postgresEndpointKeys, SourceConnectionSchema } from './source-schemas.ts';

/** The configuration file (O-25 … O-68). Keys are written as documented; `redis` is ours. */

const MongodbStorageSchema = Type.Object(
  {
    type: Type.Literal('mongodb'),
    uri: text('mongodb:// or mongodb+srv:// URI; its path names the database (O-38)'),
    username: optionalText('Wins over the URI (O-39)'),
    password: optionalText('Wins over the URI (O-39); use !env'),
    database: optionalText('Wins over the URI (O-39)'),
    max_pool_size: optionalCount('Connections per process; default 8 (O-41)', { minimum: 1, maximum: 1000 }),
    reject_ip_ranges: Type.Optional(IpRanges),
    default_storage_version: optionalCount('Version for sync configs that name none; default 2 (O-43)'),
    bulk_read_preference: Type.Optional(
      Type.Enum(['primary', 'primaryPreferred', 'secondary', 'secondaryPreferred', 'nearest'], {
        description: 'Where bulk reads go; experimental (O-44)',
      }),
    ),
    clear_batch_throttle_rate: optionalNumber('Pause between batches of clearing, as share of a batch; 0.2 (O-45)', {
      minimum: 0,
      maximum: 20,
    }),
    object_storage: Type.Optional(
      Type.Object(
        {
          type: Type.Literal('s3'),
          bucket: text('Name of the bucket'),
          region: optionalText('Region'),
          prefix: optionalText('Start of all object names'),
          endpoint: optionalText('Address of an S3-compatible service'),
          force_path_style: optionalFlag('Bucket in the path instead of the host name'),
          access_key_id: optionalText('Access key'),
          secret_access_key: optionalText('Secret key; use !env'),
          concurrency_limit: optionalCount('Requests at once'),
          defaults_mode: optionalText('Defaults mode of the S3 client'),
          inline_threshold_bytes: optionalCount('Smaller chunks stay in MongoDB; default 1024', { minimum: 0 }),
        },
        { ...STRICT, description: 'Large chunks in S3-compatible storage; experimental (O-46)' },
      ),
    ),
  },
  STRICT,
);

const PostgresStorageSchema = Type.Object(
  {
    type: Type.Literal('postgresql'),
    ...postgresEndpointKeys,
    default_storage_version: optionalCount('Version for sync configs that name none; default 2 (O-43)'),
    batch_limits: Type.Optional(
      Type.Object(
        {
          max_estimated_size: optionalCount('Bytes per transaction; default 5000000'),
          max_record_count: optionalCount('Records per transaction; default 2000'),
          max_current_data_batch_size: optionalCount('Bytes of current rows per batch; default 50000000'),
        },
        { ...STRICT, description: 'Sizes of storage transactions (O-47)' },
      ),
    ),
  },
  STRICT,
);

const SyncConfigSchema = Type.Object(
  {
    path: optionalText('File of the sync config, relative to this file (O-32)'),
    content: optionalText('The sync config itself (O-33)'),
    exit_on_error: optionalFlag('End the process when it cannot be parsed; default true (O-34)'),
    version_label: optionalText('Label of this version (O-35)'),
  },
  STRICT,
);

// Members that the standard allows beside these are not ours to judge (RFC 7517), so keys are open.
const key = { kid: optionalText('Key id; tokens name it (O-85)'), use: optionalText('Use of the key') };
const JsonWebKeySchema = oneOfBy<Record<string, unknown> & { kty: 'RSA' | 'EC' | 'OKP' | 'oct' }>(
  'kty',
  'A JSON Web Key (O-92)',
  [
    Type.Object({
      kty: Type.Literal('RSA'),
      ...key,
      kid: text('Key id; required for RSA keys (O-85)'),
      n: text('Modulus'),
      e: text('Exponent'),
      alg: Type.Optional(Type.Enum(['RS256', 'RS384', 'RS512'])),
    }),
    Type.Object({
      kty: Type.Literal('EC'),
      ...key,
      crv: Type.Enum(['P-256', 'P-384', 'P-521', 'P-512'], { description: 'P-512 is an old misspelling of P-521' }),
      x: text('x coordinate'),
      y: text('y coordinate'),
      alg: Type.Optional(Type.Enum(['ES256', 'ES384', 'ES512'])),
    }),
    Type.Object({
      kty: Type.Literal('OKP'),
      ...key,
      crv: Type.Enum(['Ed25519', 'Ed448']),
      x: text('Public key'),
      alg: Type.Optional(Type.Enum(['EdDSA', 'Ed25519', 'Ed448'])),
    }),
    Type.Object({
      kty: Type.Literal('oct'),
      ...key,
      k: text('Shared secret in base64url; use !env (O-93)'),
      alg: Type.Enum(['HS256', 'HS384', 'HS512']),
    }),
  ],
);

const ClientAuthSchema = Type.Object(
  {
    jwks_uri: Type.Optional(
      Type.Unsafe<string | string[]>({
        type: ['string', 'array'],
        items: { type: 'string' },
        description: 'Key set endpoint or endpoints, http or https (O-48)',
      }),
    ),
    jwks: Type.Optional(
      // Sets come from other programs, so members that are not known are ignored (RFC 7517, section 5).
      Type.Object({ keys: Type.Array(JsonWebKeySchema) }, { description: 'Static keys, a JSON Web Key Set (O-49)' }),
    ),
    audience: Type.Optional(Type.Array(text('An accepted audience, compared exactly (O-50)'))),
    issuer: Type.Optional(
      Type.Unsafe<string | string[]>({
        type: ['string', 'array'],
        items: { type: 'string', minLength: 1 },
        minLength: 1,
        description: 'Accepted issuer or issuers (iss), compared exactly; default any',
      }),
    ),
    supabase: optionalFlag('Derive keys and audience from a Supabase source connection (O-101)'),
    supabase_jwt_secret: optionalText('Legacy HS256 secret of Supabase; use !env (O-102)'),
    jwks_reject_ip_ranges: Type.Optional(IpRanges),
    block_local_jwks: optionalFlag('Deprecated: jwks_reject_ip_ranges: [local] (O-54)'),
    allow_local_jwks: optionalFlag('Deprecated: false means jwks_reject_ip_ranges: [local] (O-54)'),
    allow_temporary_tokens: optionalFlag('Accepted for compatibility; the service issues no tokens (O-55, O-108)'),
  },
  STRICT,
);

const ApiSchema = Type.Object(
  {
    tokens: Type.Optional(Type.Array(text('Bearer token of the admin API; use !env (O-56)'))),
    inspector: optionalFlag(
      'Serve the sync inspector at /inspector: a page that shows what a client with a given client token gets; default false',
    ),
    parameters: Type.Optional(
      Type.Object(
        {
          max_concurrent_connections: optionalCount('Streams per API process; default 200 (O-57)'),
          max_data_fetch_concurrency: optionalCount('Reads from storage at once; default 10 (O-58)'),
          max_buckets_per_connection: optionalCount('Buckets per stream; default 1000 (O-59)'),
          max_parameter_query_results: optionalCount('Results before they are made unique; default 1000 (O-60)'),
          checkpoint_request_retention_minutes: optionalCount('Age of checkpoint requests; default 60 (O-61)'),
          bucket_count_cache_ttl_minutes: optionalNumber('Age of cached bucket counts; default 60 (O-62)', {
            minimum: 0,
          }),
        },
        STRICT,
      ),
    ),
  },
  STRICT,
);

export const ServiceConfigSchema = Type.Object(
  {
    $schema: optionalText('Address of this schema, for editors'),
    replication: Type.Optional(
      Type.Object({ connections: Type.Optional(Type.Array(SourceConnectionSchema, { maxItems: 100 })) }, STRICT),
    ),
    storage: oneOfBy<Static<typeof MongodbStorageSchema> | Static<typeof PostgresStorageSchema>>(
      'type',
      'Bucket storage (O-37)',
      [MongodbStorageSchema, PostgresStorageSchema],
    ),
    redis: Type.Optional(
      Type.Object(
        {
          uri: text('redis:// or rediss:// URI; use !env'),
          key_prefix: optionalText('Start of all key names; default "millrace:"'),
        },
        { ...STRICT, description: 'Coordination of several processes; without it they poll' },
      ),
    ),
    port: Type.Optional(Port),
    sync_config: Type.Optional(SyncConfigSchema),
    sync_rules: Type.Optional(SyncConfigSchema),
    client_auth: Type.Optional(ClientAuthSchema),
    api: Type.Optional(ApiSchema),
    telemetry: Type.Optional(
      Type.Object(
        {
          prometheus_port: Type.Optional(Port),
          disable_telemetry_sharing: Type.Optional(flag('Nothing is ever shared, whatever this says (O-64, O-187)')),
          internal_service_endpoint: optionalText('Accepted for compatibility; nothing is sent (O-65, O-187)'),
        },
        STRICT,
      ),
    ),
    healthcheck: Type.Optional(
      Type.Object(
        {
          probes: Type.Optional(
            Type.Object(
              {
                use_filesystem: optionalFlag('Write probe files; default false once probes is present (O-66)'),
                use_http: optionalFlag('Serve /probes/*; default false once probes is present (O-67)'),
                use_legacy: optionalFlag('Deprecated: files always, HTTP for API processes (O-68)'),
              },
              STRICT,
            ),
          ),
        },
        STRICT,
      ),
    ),
    migrations: Type.Optional(
      Type.Object({ disable_auto_migration: optionalFlag('Run "migrate up" yourself; default false (O-31)') }, STRICT),
    ),
    system: Type.Optional(
      Type.Object(
        {
          instance_id: Type.Optional(
            Type.String({
              pattern: INSTANCE_ID.source,
              description:
                'Name of this instance, unique among all that might be given this storage; bucket storage is claimed by it and refused to others; --instance wins',
            }),
          ),
          logging: Type.Optional(
            Type.Object(
              {
                level: Type.Optional(
                  Type.Enum(LOG_LEVELS, {
                    description: 'Least severe level; default info; PS_LOG_LEVEL wins (O-27)',
                  }),
                ),
                format: Type.Optional(
                  Type.Enum(LOG_FORMATS, {
                    description: 'Default text, json in production; PS_LOG_FORMAT wins (O-28)',
                  }),
                ),
              },
              STRICT,
            ),
          ),
        },
        STRICT,
      ),
    ),
    metadata: Type.Optional(
      Type.Record(Type.String(), Type.String(), { description: 'Free pairs describing the installation (O-29)' }),
    ),
    parameters: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Unsafe<number | string | boolean | null>({ type: ['number', 'string', 'boolean', 'null'] }),
        { description: 'Global parameters of the sync config (O-30)' },
      ),
    ),
  },
  STRICT,
);

/** The file as written, valid by the schema, before defaults. */
export type ServiceConfigKeys = Static<typeof ServiceConfigSchema>;

/** The published JSON schema, for editors and other tools (O-21). */
export function serviceConfigJsonSchema(): object {
  // `errorCode` only concerns our own validator.
  const plain = JSON.stringify(ServiceConfigSchema, (name, value: unknown) =>
    name === 'errorCode' ? undefined : value,
  );
  const schema = JSON.parse(plain) as object;
  return { $schema: 'http://json-schema.org/draft-07/schema#', title: 'Millrace service configuration', ...schema };
}
