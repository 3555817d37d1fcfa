/** `millrace explain row`, as a command line has it. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { ConfigFlags } from '#core/platform/config/load.ts';
import { readClaim } from '../token/read-claim.ts';

export interface ExplainCommandParents {
  readonly explain: Command;
  /** Adds the options that name a service configuration. */
  readonly withConfig: (command: Command) => Command;
  /** What these options gave; null: nothing. */
  readonly flagsOf: (options: object) => ConfigFlags | null;
}

interface RowOptions {
  user: string;
  claim: Readonly<Record<string, unknown>>;
  parameters?: object;
  subscribe: readonly object[];
  defaults: boolean;
  client?: string;
  url?: string;
  output: 'human' | 'json';
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

export function addExplainCommands({ explain, withConfig, flagsOf }: ExplainCommandParents): void {
  withConfig(explain.command('row'))
    .description(
      'why a user has a row, or has it not: which queries take it, which buckets the user has, what storage holds',
    )
    .argument('<table>', 'a source table (boats, public.boats, default.public.boats), or a table of clients')
    .argument('<id>', 'the id of the row on the client, or its key in the source')
    .requiredOption('--user <sub>', 'the user (sub of the token)')
    .option('--claim <name=value>', 'another claim of the token, as JSON or text; may be repeated', addClaim, {})
    .option('--parameters <json>', 'parameters of the connection', jsonObject)
    .option('--subscribe <stream[=json]>', 'a subscription with its parameters; may be repeated', addSubscription, [])
    .option('--no-defaults', 'without the streams that are subscribed by default')
    .option('--client <id>', 'also what is known of this client')
    .option('--url <url>', 'ask a running service, which knows its sessions; admin token in PS_ADMIN_TOKEN, or from -c')
    .addOption(new Option('--output <form>', 'for people or programs').choices(['human', 'json']).default('human'))
    .action(async (table: string, id: string, options: RowOptions) => {
      const { explainRowCommand } = await import('./command.ts');
      const {
        user,
        claim: claims,
        parameters,
        subscribe: subscriptions,
        defaults,
        client,
        url = null,
        output,
      } = options;
      const request = {
        table,
        id,
        user,
        claims,
        parameters,
        subscriptions,
        include_defaults: defaults,
        client_id: client,
      };
      await explainRowCommand({ request, flags: flagsOf(options), url, environment: process.env, output, print });
    });
}

function addClaim(text: string, claims: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const claim = readClaim(text);
  if (typeof claim === 'string') throw new InvalidArgumentError(claim);
  return { ...claims, [claim.name]: claim.value };
}

function jsonObject(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // said below
  }
  throw new InvalidArgumentError('Give a JSON object, for example {"list":"groceries"}.');
}

function addSubscription(text: string, others: readonly object[]): readonly object[] {
  const equals = text.indexOf('=');
  if (equals < 0) return [...others, { stream: text }];
  return [...others, { stream: text.slice(0, equals), parameters: jsonObject(text.slice(equals + 1)) }];
}
