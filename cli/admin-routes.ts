/** Admin API: deploying, validating and looking at the sync config, diagnostics (O chapter 6, wire/10, wire/15). */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { DeployedVersion, SyncConfigStore } from '#core/bucket-storage/sync-config-store.ts';
import { verifyAdminToken } from '#core/platform/auth/admin-token.ts';
import type { SourceConnection } from '#core/platform/config/service-config.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { syncConfigRevision } from '#core/platform/status/revision.ts';
import type { SyncPlan } from '#core/sync-config/contract.ts';
import { formatDiagnostic, type Deployment, type SchemaWarnings } from './deploy.ts';
import { adminValidation, planBody, syncRulesValidation, type ValidateText } from './validation.ts';

export interface AdminRoutesOptions {
  readonly tokens: readonly string[];
  /** The sync config comes from the service configuration: deploying by API is off (O-119). */
  readonly fromFile: boolean;
  readonly configs: () => SyncConfigStore;
  readonly connections: readonly SourceConnection[];
  readonly validate: ValidateText;
  now(): number;
  /** `retryBlocked`: a first copy that waits for an operator begins again. */
  deploy(text: string, how: { reprocess?: boolean; retryBlocked?: boolean }): Promise<Deployment>;
  readonly schemaWarnings: SchemaWarnings;
  /** Resolves, with nothing, when warnings are not worth waiting for any longer. */
  patience(): Promise<readonly []>;
  diagnostics(request: { content: boolean }): Promise<object>;
}

export function adminRoutes(server: FastifyInstance, options: AdminRoutesOptions): void {
  const { tokens, configs } = options;
  const admin = async (request: FastifyRequest): Promise<void> =>
    verifyAdminToken(request.headers.authorization, tokens);

  server.post<{ Body: { sync_rules_content?: boolean } | null }>(
    '/api/admin/v1/diagnostics',
    { preHandler: admin },
    async (request) => ({
      data: await options.diagnostics({ content: request.body?.sync_rules_content === true }),
    }),
  );
  server.post<{ Body: { sync_rules?: unknown } | null }>(
    '/api/admin/v1/validate',
    { preHandler: admin },
    async (request) => {
      const text = request.body?.sync_rules;
      if (typeof text !== 'string')
        throw codedError('PSYNC_S2001', 'Give the sync config as text in "sync_rules"', { status: 400 });
      return { data: adminValidation(await options.validate(text), options.connections, options.now()) };
    },
  );
  server.get('/api/sync-rules/v1/current', { preHandler: admin }, async () => {
    const [active, next] = [await configs().active(), await configs().processing()];
    if (!active && !next) throw codedError('PSYNC_S4104', 'No active sync config: deploy one', { status: 422 });
    return {
      data: { ...(active ? { current: versionBody(active) } : {}), ...(next ? { next: versionBody(next) } : {}) },
    };
  });
  server.post('/api/sync-rules/v1/reprocess', { preHandler: admin }, async () => {
    // The newest one counts, also one whose first copy got stuck.
    const present = (await configs().processing()) ?? (await configs().active());
    if (!present) throw codedError('PSYNC_S4104', 'No active sync config: deploy one', { status: 422 });
    const { version } = await options.deploy(present.content, { reprocess: true });
    return { data: deploymentBody(version) };
  });

  // Text of any YAML type is taken as it is, for these two routes only.
  void server.register(async (scope) => {
    for (const type of ['application/yaml', 'application/x-yaml', 'text/yaml', 'text/plain']) {
      scope.addContentTypeParser(type, { parseAs: 'string' }, (_request, body, done) => done(null, body));
    }
    scope.post('/api/sync-rules/v1/deploy', { preHandler: admin }, async (request) => {
      if (options.fromFile) {
        throw codedError(
          'PSYNC_S4105',
          'The sync config is part of the service configuration, which always wins. Change it there and restart',
          { status: 422 },
        );
      }
      const text = textOf(request.body);
      const { version, warnings } = await options.deploy(text, { retryBlocked: true });
      // It is deployed: a source that does not answer must not keep whoever deploys waiting. Diagnostics show the same.
      const asked = options.schemaWarnings(text, warnings);
      const found = [...warnings, ...(await Promise.race([asked, options.patience()]))];
      return { data: { ...deploymentBody(version), warnings: found.map(formatDiagnostic) } };
    });
    scope.post('/api/sync-rules/v1/validate', { preHandler: admin }, async (request) =>
      syncRulesValidation(await options.validate(textOf(request.body))),
    );
  });
}

function textOf(body: unknown): string {
  if (typeof body === 'string' && body.trim() !== '') return body;
  const content = (body as { content?: unknown } | null)?.content;
  if (typeof content === 'string') return content;
  throw codedError('PSYNC_S2001', 'Send the sync config as the request body, with content-type application/yaml', {
    status: 400,
  });
}

function versionBody(version: DeployedVersion): object {
  return {
    ...deploymentBody(version),
    content: version.content,
    created_at: new Date(version.createdMs).toISOString(),
    ...(version.activatedMs === null ? {} : { activated_at: new Date(version.activatedMs).toISOString() }),
    ...(version.error === null ? {} : { error: version.error }),
    valid: true,
    ...planBody(JSON.parse(version.plan) as SyncPlan),
  };
}

/** `revision` names the text, as `/status` and the operator do. */
function deploymentBody(version: DeployedVersion): object {
  const { state, label, content } = version;
  return {
    slot_name: slotOf(version),
    version: version.version,
    state,
    revision: syncConfigRevision(content),
    ...(label === null ? {} : { label }),
  };
}

function slotOf(version: DeployedVersion): string {
  return version.streams[0]?.slot ?? '';
}
