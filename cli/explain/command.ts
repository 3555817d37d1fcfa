/** `millrace explain row`: asks a running service, or storage and sources directly. */
import { realClock } from '#core/platform/clock.ts';
import { type ConfigFlags, loadServiceConfig } from '#core/platform/config/load.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { SILENT_LOG } from '#core/platform/log.ts';
import { openStorage } from '../instance.ts';
import type { Explanation } from './contract.ts';
import { explainDependencies } from './dependencies.ts';
import { explain } from './explain.ts';
import { humanExplanation } from './human.ts';
import { parseExplainRequest } from './request.ts';

export interface ExplainRowOptions {
  /** As the admin API takes it. */
  readonly request: object;
  /** Null: none was given. */
  readonly flags: ConfigFlags | null;
  /** Of a running service; null: `API_URL` when there is no service configuration either (O-258). */
  readonly url: string | null;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly output: 'human' | 'json';
  readonly print: (text: string) => void;
}

const TIMEOUT_MS = 60_000;

export async function explainRowCommand(options: ExplainRowOptions): Promise<void> {
  const { flags, environment, output, print } = options;
  const url = options.url ?? (flags === null ? (environment['API_URL'] ?? null) : null);
  const explanation = url === null ? await ask(options) : await askService(url, options);
  print(output === 'json' ? JSON.stringify(explanation, null, 2) : humanExplanation(explanation));
}

async function ask({ request, flags, environment }: ExplainRowOptions): Promise<Explanation> {
  const question = parseExplainRequest(request);
  const { config } = await loadServiceConfig({ flags: flags ?? {}, environment, workingFolder: process.cwd() });
  const storage = await openStorage(config, SILENT_LOG, realClock);
  try {
    await storage.assertMigrated();
    return await explain(
      question,
      explainDependencies({ config, storage, sessions: null, log: SILENT_LOG, clock: realClock }),
    );
  } finally {
    await storage.close();
  }
}

async function askService(url: string, { request, flags, environment }: ExplainRowOptions): Promise<Explanation> {
  const token = environment['PS_ADMIN_TOKEN'] ?? (await configuredToken(flags, environment));
  if (token === undefined) {
    throw codedError(
      'PSYNC_S2101',
      'Put one of api.tokens into the environment variable PS_ADMIN_TOKEN, or name the service configuration with -c.',
    );
  }
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const path = `${url.replace(/\/+$/, '')}/api/admin/v1/explain`;
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(path, { method: 'POST', headers, body: JSON.stringify(request), signal }).catch(
    (error: unknown) => {
      throw codedError('PSYNC_S0104', `${path} does not answer: ${reasonOf(error)}`, { cause: error });
    },
  );
  const body = (await response.json().catch(() => null)) as {
    data?: Explanation;
    error?: { code?: string; description?: string };
  } | null;
  if (response.ok && body?.data !== undefined) return body.data;
  const { code = '', description = '' } = body?.error ?? {};
  throw codedError('PSYNC_S0104', `${path} answers with status ${response.status}. ${code} ${description}`.trim());
}

async function configuredToken(
  flags: ConfigFlags | null,
  environment: ExplainRowOptions['environment'],
): Promise<string | undefined> {
  if (flags === null) return undefined;
  const { config } = await loadServiceConfig({ flags, environment, workingFolder: process.cwd() });
  return config.api.tokens[0];
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { message?: string; code?: string } };
  return cause?.code ?? cause?.message ?? message ?? String(error);
}
