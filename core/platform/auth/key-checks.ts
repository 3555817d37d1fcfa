import { codedError, type CodedError } from '../errors/coded-error.ts';
import { passed, shown, type Check, type CheckName } from './check.ts';
import type { KeySearch, LocatedKey } from './key-ring.ts';
import { refused, type UnverifiedToken } from './token-format.ts';

/**
 * What a search for the key of a token found: that there is one (O-84, O-85), that it is for the token's algorithm (O-94), and that the
 * signature fits. Ends with the first that is not so.
 *
 * Refused with `PSYNC_S2101` or `S2102` when the token is at fault; with `S2202` … `S2204` when its key may exist but an endpoint cannot
 * be asked (O-96).
 */
export function* checkKeys(token: UnverifiedToken, search: KeySearch): Generator<Check> {
  const { at, refusal } = verdictOn(token, search);
  const steps: readonly (readonly [CheckName, () => string])[] = [
    ['key', () => keyFinding(token, search)],
    ['key type', () => typeFinding(token, search)],
    ['signature', () => signatureFinding(search)],
  ];
  for (const [name, finding] of steps) {
    if (name === at) return yield { name, finding: finding(), refusal };
    yield passed(name, finding());
  }
}

interface Verdict {
  readonly at: CheckName | null;
  readonly refusal: CodedError | null;
}

function verdictOn(token: UnverifiedToken, { signer, keys, endpoints, unanswered }: KeySearch): Verdict {
  if (signer !== undefined) return { at: null, refusal: null };
  const fits = ({ key }: LocatedKey): boolean => key.algorithms.includes(token.algorithm);
  const named = keys.filter(({ key: { kid } }) => token.kid !== undefined && kid === token.kid);
  const unnamed = keys.filter(({ key: { kid } }) => kid === undefined);
  const failure = endpoints.find((endpoint) => endpoint.failure !== undefined)?.failure ?? late(unanswered);
  if (named.length === 0 && failure !== undefined) return { at: 'key', refusal: failure };
  if (named.length > 0 && !named.some(fits)) {
    const message = 'The signature cannot be verified: the key with this kid is for another algorithm';
    return { at: 'key type', refusal: codedError('PSYNC_S2102', message) };
  }
  if (named.length > 0 || unnamed.some(fits)) {
    return { at: 'signature', refusal: refused('The signature of the token does not fit the configured key') };
  }
  if (token.kid === undefined && keys.length > 0) {
    const at = keys.some(fits) ? 'signature' : 'key type';
    return { at, refusal: refused('The signature of the token fits none of the configured keys') };
  }
  return { at: 'key', refusal: refused('No configured key has the kid of the token: check kid, jwks and jwks_uri') };
}

function late([name]: readonly string[]): CodedError | undefined {
  return name === undefined ? undefined : codedError('PSYNC_S2204', lateText(name));
}
function lateText(name: string): string {
  return `The key set at ${name} is still waited for`;
}

function keyFinding(token: UnverifiedToken, search: KeySearch): string {
  const { keys, endpoints, signer } = search;
  const named = keys.filter(({ key }) => token.kid !== undefined && key.kid === token.kid);
  const origins = [...new Set(named.map(({ origin }) => origin))];
  if (named.length > 0) return `kid ${shown(token.kid)} is a key of ${origins.join(' and of ')}`;
  const what = token.kid === undefined ? 'the token has no kid' : `no key has kid ${shown(token.kid)}`;
  if (signer !== undefined) return `${what}; it fits a key of ${signer.origin}`;
  const unusable = endpoints.flatMap((endpoint) =>
    endpoint.unusable
      .filter(({ kid }) => kid !== undefined && kid === token.kid)
      .map(({ reason }) => `; ${endpoint.name} has it, but ${reason}`),
  );
  const again = {
    no: '',
    yes: '; endpoints were asked again',
    'too early': '; endpoints were asked within the last seconds',
  }[search.asked];
  return `${what}${unusable.join('')}; there are ${listOf(search)}${endpoints.length === 0 ? '' : again}`;
}

/** Where keys were looked for, and which are there. */
function listOf({ keys, endpoints, unanswered }: KeySearch): string {
  const failures = endpoints.filter(({ failure }) => failure !== undefined).map(({ failure }) => failure!.description);
  const origins = [...new Set(keys.map(({ origin }) => origin))].map((origin) => {
    const kids = keys.filter((located) => located.origin === origin).map(({ key }) => shown(key.kid ?? 'without kid'));
    return `${kids.slice(0, MOST_SHOWN).join(', ')}${kids.length > MOST_SHOWN ? ', …' : ''} of ${origin}`;
  });
  return [...(origins.length === 0 ? ['no keys'] : origins), ...failures, ...unanswered.map(lateText)].join('; ');
}

const MOST_SHOWN = 10;

function typeFinding(token: UnverifiedToken, { keys, signer }: KeySearch): string {
  const asked = signer === undefined ? keys.filter(({ key: { kid } }) => isCandidate(kid, token.kid)) : [signer];
  const algorithms = [...new Set(asked.flatMap(({ key }) => key.algorithms))];
  return `alg is ${shown(token.algorithm)}; ${asked.length === 1 ? 'the key is' : 'the keys are'} for ${algorithms.join(', ') || 'nothing'}`;
}

function isCandidate(kid: string | undefined, wanted: string | undefined): boolean {
  return wanted === undefined || kid === undefined || kid === wanted;
}

function signatureFinding({ signer }: KeySearch): string {
  return signer === undefined
    ? 'it was made with another key, or the token was changed'
    : `fits the key ${signer.key.kid === undefined ? 'without kid' : shown(signer.key.kid)} of ${signer.origin}`;
}
