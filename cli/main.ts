/** The `millrace` command (O chapter 1). One-shot commands exit 0 on success, non-zero on failure (O-9). */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { INSTANCE_ID } from '#core/platform/config/instance-id.ts';
import { isCodedError } from '#core/platform/errors/coded-error.ts';
import type { ConfigFlags } from '#core/platform/config/load.ts';
import { addExplainCommands } from './explain/commands.ts';
import { SCHEMA_LANGUAGES, type SchemaLanguage } from './generate-schema/contract.ts';
import type { OperatorFlags } from './operator.ts';
import { addTokenCommands } from './token/commands.ts';
import { VERSION } from './version.ts';

/** Spellings with one dash and several letters (O-16), which option parsers read as `-c 64`. */
const LONG_FORMS: Readonly<Record<string, string>> = { '-c64': '--config-base64', '-sync64': '--sync-config-base64' };

interface ConfigOptions {
  config?: string;
  configBase64?: string;
  syncConfigBase64?: string;
}

interface InstanceOptions {
  instance?: string;
}

interface TeardownFlags {
  keepStorage?: boolean;
  slotsFirst?: boolean;
  timeout: number;
}

interface SchemaOptions {
  output: SchemaLanguage;
  outputPath?: string;
  syncConfigFilePath?: string;
}

interface StartFlags {
  role: 'unified' | 'sync' | 'api';
  source: string[];
  graceSeconds: number;
}

function flagsOf(options: ConfigOptions): ConfigFlags {
  return { path: options.config, base64: options.configBase64, syncConfigBase64: options.syncConfigBase64 };
}

/** Null when no service configuration is named. */
function flagsIfGiven(options: ConfigOptions): ConfigFlags | null {
  return options.config === undefined && options.configBase64 === undefined ? null : flagsOf(options);
}

function withConfig(command: Command): Command {
  return command
    .option('-c, --config <path>', 'service configuration file; else POWERSYNC_CONFIG_PATH')
    .option('--config-base64 <base64>', 'the configuration itself (also -c64); else POWERSYNC_CONFIG_B64')
    .option('--sync-config-base64 <base64>', 'the sync config itself (also -sync64); else POWERSYNC_SYNC_RULES_B64');
}

function program(): Command {
  const root = new Command('millrace')
    .description('Keeps a SQLite database inside every app in sync with a backend database.')
    .version(VERSION)
    .exitOverride();
  addStart(root);
  addStorageCommands(root);
  addOperator(root);
  addChecks(root);
  const generate = root.command('generate').description('what follows from a sync config');
  addGenerateSchema(generate);
  const explain = root.command('explain').description('why something is as it is');
  addTokenCommands({ root, generate, explain, withConfig, flagsOf });
  addExplainCommands({ explain, withConfig, flagsOf: flagsIfGiven });
  root
    .command('dev')
    .description('everything on this machine: an embedded Postgres, the demo page, and the service in one process')
    .option('-p, --port <number>', 'port of the page and the API', portOf, 8080)
    .action(async (options: { port: number }) => {
      const { dev } = await import('./dev/dev.ts');
      await dev(options);
    });
  return root;
}

function addStart(root: Command): void {
  withConfig(root.command('start', { isDefault: true }))
    .description('run the service')
    .addOption(new Option('-r, --role <role>', 'which parts').choices(['unified', 'sync', 'api']).default('unified'))
    .option(
      '--source <tag>',
      'replicate only this source of the configuration; may be given several times',
      collect,
      [],
    )
    .option('--grace-seconds <seconds>', 'draining and stopping take this long at most', secondsOf, 120)
    .addOption(instanceOption())
    .action(async (options: ConfigOptions & InstanceOptions & StartFlags) => {
      const { start } = await import('./start.ts');
      const { instance, source: sources, graceSeconds } = options;
      await start(options.role, flagsOf(options), { sources, instance, graceMs: graceSeconds * 1000 });
    });
}

/** What is done to bucket storage as a whole, once. */
function addStorageCommands(root: Command): void {
  const migrate = root.command('migrate').description('storage schema');
  withConfig(migrate.command('up'))
    .description('bring the storage schema up to date, claim the storage for the instance, then exit')
    .addOption(instanceOption())
    .action(async (options: ConfigOptions & InstanceOptions) => {
      const { migrateUp } = await import('./one-shot.ts');
      await migrateUp(flagsOf(options), options);
    });
  withConfig(root.command('compact'))
    .description('shorten the history of all buckets in bucket storage once, then exit; the service may run meanwhile')
    .addOption(instanceOption())
    .action(async (options: ConfigOptions & InstanceOptions) => {
      const { compact } = await import('./compact.ts');
      await compact(flagsOf(options), options);
    });
  withConfig(root.command('teardown'))
    .description('destroy what this instance created: replication slots and everything in bucket storage')
    .argument('[confirmation]', 'the literal word TEARDOWN')
    .addOption(instanceOption())
    .option('--keep-storage', 'remove replication slots and the claim only; what is stored stays for the next instance')
    .option('--slots-first', 'leave bucket storage alone while a slot remains, so that the command can be repeated')
    .option('--timeout <seconds>', 'ends by itself after this; what is left is named', secondsOf, 120)
    .action(async (confirmation: string | undefined, options: ConfigOptions & InstanceOptions & TeardownFlags) => {
      const { teardown } = await import('./teardown.ts');
      const { instance, keepStorage = false, slotsFirst = false, timeout: timeoutSeconds } = options;
      await teardown(confirmation, flagsOf(options), {
        ...(instance === undefined ? {} : { instance }),
        ...{ keepStorage, slotsFirst, timeoutSeconds },
      });
    });
}

function addOperator(root: Command): void {
  root
    .command('operator')
    .description('run the Kubernetes operator: keeps every SyncInstance as its spec says')
    .option('--namespace <name>', 'watch only this namespace; may be given several times', collect, [])
    .option('--no-leader-election', 'act at once; only where this is the only operator')
    .option('--lease-name <name>', 'name of the Lease by which operators elect one', 'millrace-operator')
    .option('--lease-namespace <name>', 'its namespace; default: that of the pod (POD_NAMESPACE)')
    .option('--metrics-port <number>', 'port of /metrics and /probes', portOf, 9464)
    .option('--image <reference>', 'image of instances that name none; else MILLRACE_IMAGE')
    .option('--concurrency <number>', 'instances that are looked at at the same time', countOf, 8)
    .action(async (options: OperatorFlags) => {
      const { operator } = await import('./operator.ts');
      await operator(options);
    });
}

/** Of connections, and of sync configs; they change nothing. */
function addChecks(root: Command): void {
  withConfig(root.command('test-connections'))
    .description('check the source connections and the storage, then exit')
    .action(async (options: ConfigOptions) => {
      const { testConnections } = await import('./one-shot.ts');
      await testConnections(flagsOf(options));
    });
  withConfig(root.command('validate'))
    .description('check a sync config; with a service configuration also against the tables of its sources')
    .argument('<file>', 'the sync config')
    .addOption(new Option('--output <form>', 'for people or programs').choices(['human', 'json']).default('human'))
    .action(async (file: string, options: ConfigOptions & { output: 'human' | 'json' }) => {
      const { validate } = await import('./validate.ts');
      const { output } = options;
      const flags = flagsIfGiven(options);
      const print = (text: string): void => void process.stdout.write(`${text}\n`);
      if (!(await validate({ file, flags, output, print }))) process.exitCode = 1;
    });
  root
    .command('test')
    .description('run the tests of a sync config: rows and a token in, what each stream gives out; needs no database')
    .argument('[paths...]', 'test files, or folders with *.sync-test.yaml; default: the working folder')
    .addOption(new Option('--output <form>', 'how to print').choices(['human', 'json', 'junit']).default('human'))
    .option('--filter <text>', 'only tests with this text in their name')
    .action(async (paths: string[], options: { output: 'human' | 'json' | 'junit'; filter?: string }) => {
      const { testSyncConfigs } = await import('./test-config/command.ts');
      const { NO_COLOR } = process.env;
      const colours = process.stdout.isTTY && (NO_COLOR === undefined || NO_COLOR === '');
      const print = (text: string): void => void process.stdout.write(`${text}\n`);
      const ok = await testSyncConfigs({ ...options, paths, workingFolder: process.cwd(), colours, print });
      if (!ok) process.exitCode = 1;
    });
}

function addGenerateSchema(generate: Command): void {
  withConfig(generate.command('schema'))
    .description('the schema of the app, from the sync config and the tables of its sources')
    .addOption(new Option('--output <language>', 'of the app').choices(SCHEMA_LANGUAGES).makeOptionMandatory())
    .option('--output-path <file>', 'where to write it; default: standard output')
    .option('--sync-config-file-path <file>', 'the sync config; default: that of the service configuration')
    .action(async (options: ConfigOptions & SchemaOptions) => {
      const { generateSchema } = await import('./generate-schema/command.ts');
      const { output: language, outputPath = null, syncConfigFilePath: file = null } = options;
      const print = (text: string): void => void process.stdout.write(text);
      const report = (text: string): void => void process.stderr.write(`${text}\n`);
      const ok = await generateSchema({ language, outputPath, file, flags: flagsOf(options), print, report });
      if (!ok) process.exitCode = 1;
    });
}

function instanceOption(): Option {
  return new Option(
    '--instance <id>',
    'name of this instance: bucket storage is claimed by it and refused to others; else system.instance_id',
  ).argParser((text: string) => {
    if (!INSTANCE_ID.test(text)) throw new InvalidArgumentError('Give a name or a UID without spaces.');
    return text;
  });
}

const collect = (tag: string, tags: readonly string[]): string[] => [...tags, tag];

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (!Number.isInteger(seconds) || seconds < 5 || seconds > 86_400)
    throw new InvalidArgumentError('Give whole seconds, at least 5.');
  return seconds;
}

function countOf(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 1000)
    throw new InvalidArgumentError('Give a number from 1 to 1000.');
  return count;
}

function portOf(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new InvalidArgumentError('Give a number from 1 to 65535.');
  return port;
}

/** Runs one command line. Sets the exit code; long-running commands return when they are told to stop. */
export async function main(words: readonly string[]): Promise<void> {
  try {
    await program().parseAsync(
      words.map((word) => LONG_FORMS[word] ?? word),
      { from: 'user' },
    );
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode;
      return;
    }
    process.stderr.write(
      `${isCodedError(error) || !(error instanceof Error) ? messageOf(error) : (error.stack ?? error.message)}\n`,
    );
    process.exitCode = 1;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
