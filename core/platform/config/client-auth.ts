import type { ConfigPath, ConfigReport } from './problems.ts';
import type { ClientAuthConfig, ConfiguredKey, SourceConnection } from './service-config.ts';
import type { ServiceConfigKeys } from './service-schema.ts';

type ClientAuthKeys = NonNullable<ServiceConfigKeys['client_auth']>;

const PATH: ConfigPath = ['client_auth'];
const SUPABASE_AUDIENCE = 'authenticated';

/**
 * Client authentication with what follows from the source connections (O-48 … O-55, O-101, O-102). Reports bad
 * addresses of key sets (`PSYNC_S3102`, `S3103`) and settings under which no client can ever connect.
 */
export function normalizeClientAuth(
  keys: ClientAuthKeys | undefined,
  connections: readonly SourceConnection[],
  report: ConfigReport,
): ClientAuthConfig {
  const uris = keyEndpoints(keys, report);
  const staticKeys = (keys?.jwks?.keys ?? []).map((key) => ({ ...key })) as ConfiguredKey[];
  const audience = [...(keys?.audience ?? [])];
  const rejectsLocal = keys?.block_local_jwks === true || keys?.allow_local_jwks === false;

  warnOfDeprecated(keys, report);
  warnOfPrivateParts(staticKeys, report);
  if (keys?.supabase === true) addSupabaseProject(connections, uris, audience, report);
  if (keys?.supabase_jwt_secret !== undefined) {
    // The secret signs as it stands, as text (O-102).
    const k = Buffer.from(keys.supabase_jwt_secret).toString('base64url');
    staticKeys.push({ kty: 'oct', alg: 'HS256', k });
    if (!audience.includes(SUPABASE_AUDIENCE)) audience.push(SUPABASE_AUDIENCE);
  }
  if (uris.length === 0 && staticKeys.length === 0) {
    report.notice('warn', PATH, 'has neither jwks_uri nor jwks nor a Supabase project: every client will be refused');
  } else if (audience.length === 0) {
    report.notice('warn', [...PATH, 'audience'], 'is empty: every client will be refused (PSYNC_S2105)');
  }
  const ranges = keys?.jwks_reject_ip_ranges ?? [];
  return {
    jwksUris: uris,
    keys: staticKeys,
    audience,
    issuers: typeof keys?.issuer === 'string' ? [keys.issuer] : [...(keys?.issuer ?? [])],
    rejectIpRanges: rejectsLocal && !ranges.includes('local') ? [...ranges, 'local'] : ranges,
  };
}

function keyEndpoints(keys: ClientAuthKeys | undefined, report: ConfigReport): string[] {
  const given = keys?.jwks_uri;
  if (given === undefined) return [];
  const isList = Array.isArray(given);
  return (isList ? given : [given]).filter((uri, index) => {
    const path = isList ? [...PATH, 'jwks_uri', index] : [...PATH, 'jwks_uri'];
    const url = URL.parse(uri);
    if (url === null || url.hostname === '') {
      // `URL` accepts "mailto:x"; an address without host is no endpoint, and a foreign scheme has its own code.
      const isForeign = url !== null && url.protocol !== 'http:' && url.protocol !== 'https:';
      report.problem(path, isForeign ? 'PSYNC_S3103' : 'PSYNC_S3102', 'must be an absolute http or https address');
      return false;
    }
    if (url.protocol !== 'http:' && url.protocol !== 'https:') {
      report.problem(path, 'PSYNC_S3103', 'must be an http or https address');
      return false;
    }
    return true;
  });
}

function warnOfDeprecated(keys: ClientAuthKeys | undefined, report: ConfigReport): void {
  for (const key of ['block_local_jwks', 'allow_local_jwks'] as const) {
    if (keys?.[key] === undefined) continue;
    report.notice('warn', [...PATH, key], 'is deprecated: use jwks_reject_ip_ranges: [local]');
  }
  if (keys?.allow_temporary_tokens === true) {
    report.notice('warn', [...PATH, 'allow_temporary_tokens'], 'has no effect: sign development tokens with the CLI');
  }
}

function warnOfPrivateParts(keys: readonly ConfiguredKey[], report: ConfigReport): void {
  keys.forEach((key, index) => {
    if (key.kty === 'oct' || key['d'] === undefined) return;
    const message = 'holds the private part of the key, which the service does not need: remove it from the file';
    report.notice('warn', [...PATH, 'jwks', 'keys', index], message);
  });
}

/** Hosted Supabase projects are known by the host of their direct connection (O-101). */
function addSupabaseProject(
  connections: readonly SourceConnection[],
  uris: string[],
  audience: string[],
  report: ConfigReport,
): void {
  const path = [...PATH, 'supabase'];
  const projects = new Set(
    connections
      .flatMap((connection) => (connection.type === 'postgresql' ? connection.hosts : []))
      .flatMap(({ hostname }) => /^db\.([a-z0-9]+)\.supabase\.(?:co|com)$/i.exec(hostname)?.[1]?.toLowerCase() ?? []),
  );
  if (projects.size === 0) {
    const message =
      'is set, but no source connection goes to db.<project>.supabase.co: give jwks_uri and audience instead';
    report.notice('warn', path, message);
    return;
  }
  for (const project of projects) {
    const uri = `https://${project}.supabase.co/auth/v1/.well-known/jwks.json`;
    report.notice('info', path, `keys of Supabase come from ${uri}, with audience ${SUPABASE_AUDIENCE}`);
    if (!uris.includes(uri)) uris.push(uri);
  }
  if (!audience.includes(SUPABASE_AUDIENCE)) audience.push(SUPABASE_AUDIENCE);
}
