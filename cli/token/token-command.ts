/** `millrace token`, also `millrace generate token`: a token for development (O-107, O-264). */
import { createTokenVerifier } from '#core/platform/auth/token-verifier.ts';
import { realClock } from '#core/platform/clock.ts';
import { type ConfigFlags, loadServiceConfig } from '#core/platform/config/load.ts';
import type { ClientAuthConfig } from '#core/platform/config/service-config.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { MAX_TOKEN_LIFETIME_SECONDS } from '#core/platform/limits.ts';
import { SILENT_LOG } from '#core/platform/log.ts';
import { createTokenSigner } from './sign-token.ts';

export interface TokenRequest {
  /** `sub`: the user. */
  readonly subject: string;
  readonly expiresInSeconds: number;
  /** Null: the first key that can sign. */
  readonly kid: string | null;
  /** Null: the first one of `client_auth.audience`. */
  readonly audience: string | null;
  /** Further claims; those with parameters of their own are refused. */
  readonly claims: Readonly<Record<string, unknown>>;
}

/** They have parameters of their own, or are nobody's to choose. */
const RESERVED = new Map([
  ['sub', '--subject'],
  ['aud', '--audience'],
  ['exp', '--expires-in-seconds'],
  ['iat', 'nothing: it is now'],
]);

/** A token that a service with this configuration accepts. Rejects with `PSYNC_S2201` or `S3120`, saying what to configure. */
export async function developmentToken(flags: ConfigFlags, request: TokenRequest): Promise<string> {
  const { config } = await loadServiceConfig({ flags, environment: process.env, workingFolder: process.cwd() });
  return signToken(config.clientAuth, request, Math.floor(realClock.now() / 1000));
}

/** As `developmentToken`; `now` in seconds since 1970. Every token has a `jti`, so that it can be revoked. */
export async function signToken(auth: ClientAuthConfig, request: TokenRequest, now: number): Promise<string> {
  const { subject, expiresInSeconds, claims } = request;
  for (const name of Object.keys(claims)) {
    if (!RESERVED.has(name)) continue;
    throw codedError('PSYNC_S2201', `The claim "${name}" is not given with --claim. Use ${RESERVED.get(name)}.`);
  }
  if (expiresInSeconds > MAX_TOKEN_LIFETIME_SECONDS) {
    const most = `A token may live ${MAX_TOKEN_LIFETIME_SECONDS} seconds at most, not ${expiresInSeconds}`;
    throw codedError('PSYNC_S2201', `${most}: give --expires-in-seconds less.`);
  }
  const audience = request.audience ?? auth.audience[0];
  if (audience === undefined) {
    const message =
      'client_auth.audience is empty, so no token is accepted. Name an audience there, for example [my-app].';
    throw codedError('PSYNC_S2201', message);
  }
  const signer = await createTokenSigner(auth.keys, request.kid);
  const issuer = auth.issuers.length === 0 ? {} : { iss: auth.issuers[0] };
  const token = signer.sign({
    jti: crypto.randomUUID(),
    ...issuer,
    ...claims,
    sub: subject,
    aud: audience,
    iat: now,
    exp: now + expiresInSeconds,
  });
  await assertAccepted(auth, token);
  return token;
}

/** What the service would refuse is not given out: a private part that does not belong to its public one, another audience. */
async function assertAccepted(auth: ClientAuthConfig, token: string): Promise<void> {
  const verifier = await createTokenVerifier({
    clientAuth: { ...auth, jwksUris: [] },
    clock: realClock,
    log: SILENT_LOG,
  });
  try {
    await verifier.verify(`Token ${token}`);
  } finally {
    verifier.close();
  }
}
