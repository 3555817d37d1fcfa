import { rejectIpRanges } from './connections.ts';
import { optionalSecretKeyRef } from './metadata-names.ts';
import { flag, isHttpAddress, rule, section, set, text } from './schema-parts.ts';

/**
 * How tokens of clients are checked (O-48 to O-55, O-101, O-102). An instance without keys or audience refuses every
 * client (PSYNC_S2105), and nobody wants such a one: it is refused here instead, where the author sees it.
 */
export const ClientAuth = section(
  'How tokens of clients are checked. Several ways may be given; a token must fit one of them.',
  {
    jwksUris: set(
      'Addresses of JSON Web Key Sets, http or https.',
      text('Address of a key set.', {
        maxLength: 2048,
        rules: [rule(isHttpAddress, 'The address of a key set must be an http or https address.')],
      }),
      { maxItems: 20, default: [] },
    ),
    keysSecretRef: optionalSecretKeyRef('Secret with a JSON Web Key Set, as JSON text.'),
    audience: set('Accepted audiences, compared exactly.', text('An audience.', { maxLength: 2048 }), {
      maxItems: 50,
      default: [],
    }),
    issuers: set('Accepted issuers, compared exactly. None: any issuer.', text('An issuer.', { maxLength: 2048 }), {
      maxItems: 50,
      default: [],
    }),
    supabase: flag(
      'Take keys and audience from the hosted Supabase project that a source connects to (`db.PROJECT.supabase.co`).',
      false,
    ),
    supabaseJwtSecretRef: optionalSecretKeyRef('Secret with the legacy JWT secret of Supabase (HS256).'),
    rejectIpRanges,
  },
  {
    rules: [
      rule(
        'self.jwksUris.size() > 0 || has(self.keysSecretRef) || self.supabase || has(self.supabaseJwtSecretRef)',
        'Give jwksUris, keysSecretRef, supabase or supabaseJwtSecretRef: without keys every client would be refused.',
      ),
      rule(
        'self.audience.size() > 0 || self.supabase || has(self.supabaseJwtSecretRef)',
        'Give an audience: without one every client would be refused. Only Supabase brings its own.',
      ),
    ],
  },
);
