/** The commands about tokens of clients, as a command line has them. */
import { text as readAll } from 'node:stream/consumers';
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { ConfigFlags } from '#core/platform/config/load.ts';
import { DEVELOPMENT_TOKEN_LIFETIME_SECONDS } from '#core/platform/limits.ts';
import { readClaim } from './read-claim.ts';

export interface TokenCommandParents {
  readonly root: Command;
  readonly generate: Command;
  readonly explain: Command;
  /** Adds the options that name a service configuration. */
  readonly withConfig: (command: Command) => Command;
  /** What these options gave. */
  readonly flagsOf: (options: object) => ConfigFlags;
}

type Claims = Readonly<Record<string, unknown>>;
interface TokenOptions {
  subject: string;
  expiresInSeconds: number;
  kid?: string;
  audience?: string;
  claim: Claims;
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** `token` and `generate token`, which are the same (O-264); `explain token`; `revoke`. */
export function addTokenCommands({ root, generate, explain, withConfig, flagsOf }: TokenCommandParents): void {
  for (const parent of [root, generate]) {
    withConfig(parent.command('token'))
      .description('a token for development, signed with a key of the service configuration')
      .requiredOption('--subject <id>', 'the user (sub)')
      .option(
        '--expires-in-seconds <number>',
        'lifetime, at most 86400',
        wholeNumber,
        DEVELOPMENT_TOKEN_LIFETIME_SECONDS,
      )
      .option('--kid <kid>', 'the key to sign with; default: the first one that can')
      .option('--audience <audience>', 'default: the first one of client_auth.audience')
      .option('--claim <name=value>', 'another claim, as JSON or text; may be repeated', addClaim, {})
      .action(async (options: TokenOptions) => {
        const { developmentToken } = await import('./token-command.ts');
        const { subject, expiresInSeconds, kid = null, audience = null, claim: claims } = options;
        print(await developmentToken(flagsOf(options), { subject, expiresInSeconds, kid, audience, claims }));
      });
  }
  withConfig(explain.command('token'))
    .description('why the service accepts or refuses a token: every check, in order; exit code 1 when it is refused')
    .argument('<token>', 'the JWT; - reads it from standard input, where no history and no list of processes shows it')
    .addOption(new Option('--output <form>', 'for people or programs').choices(['human', 'json']).default('human'))
    .action(async (argument: string, options: { output: 'human' | 'json' }) => {
      const { explainToken } = await import('./explain-token.ts');
      const token = argument === '-' ? await readAll(process.stdin) : argument;
      if (!(await explainToken({ token, flags: flagsOf(options), output: options.output, print })))
        process.exitCode = 1;
    });
  withConfig(root.command('revoke'))
    .description('refuse tokens before they expire, and end the streams that use them')
    .option('--subject <id>', 'all tokens of a user that were issued until now')
    .option('--jti <id>', 'a single token')
    .option('--issued-before <time>', 'with --subject: seconds since 1970, or a time like 2026-01-31T12:00:00Z', timeOf)
    .action(async (options: { subject?: string; jti?: string; issuedBefore?: number | string }) => {
      const { revokeByCommand } = await import('./revoke.ts');
      const { subject, jti, issuedBefore } = options;
      print(await revokeByCommand(flagsOf(options), { subject, jti, issuedBefore }));
    });
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Give a whole number of seconds, at least 1.');
  return Number(text);
}

function addClaim(text: string, before: Claims): Claims {
  const claim = readClaim(text);
  if (typeof claim === 'string') throw new InvalidArgumentError(claim);
  return { ...before, [claim.name]: claim.value };
}

/** Digits are seconds; everything else is checked where it is used. */
function timeOf(text: string): number | string {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}
