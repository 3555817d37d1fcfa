/** Is the sync config of the spec valid, is it deployed, and what would deploying it mean? */
import { syncConfigRevision } from '#core/platform/status/revision.ts';
import type { PartStatus, SyncConfigPartStatus } from '#core/platform/status/contract.ts';
import type { CompileSyncConfig, Diagnostic } from '#core/sync-config/contract.ts';
import { planChanges, type PlanChanges } from '#core/sync-config/plan-changes.ts';
import type { SyncPlan } from '#core/sync-config/plan.ts';
import type { SyncConfigStatus } from '#crds/sync-instance/status.ts';
import type { Observed } from '../observed.ts';
import { fails, holds, REASONS, unknown, type Verdict } from '../reasons.ts';
import { compileOptions } from './compile-options.ts';

/** How long the answer of a deployment may take to show in what the parts report, and how long a refused one waits. */
const DEPLOY_AGAIN_MS = 30_000;
const MOST_STREAMS = 200;
const LONGEST_MESSAGE = 1000;

export interface SyncConfigFact {
  readonly valid: Verdict;
  readonly deployed: Verdict;
  readonly status: SyncConfigStatus;
  /** To be given to an API worker now. */
  readonly deploy: { readonly text: string; readonly revision: string } | null;
  /** Some version is served; null: nobody has told. */
  readonly isServing: boolean | null;
}

type Input = Pick<Observed, 'instance' | 'syncConfig' | 'pods' | 'memory' | 'now'>;

export function syncConfigFact(observed: Input, compile: CompileSyncConfig): SyncConfigFact {
  const { instance, syncConfig } = observed;
  const newest = newestReport(observed);
  const versions = newest?.syncConfig ?? null;
  const active = versions?.find(({ state }) => state === 'active') ?? null;
  const isServing = versions === null ? null : active !== null;
  if (syncConfig.text === undefined) {
    const valid = missingText(observed, syncConfig.missing);
    return { ...refused(observed, valid, versions), isServing };
  }
  const { text } = syncConfig;
  const { plan, diagnostics } = compile(text, compileOptions(instance.spec.sources));
  if (plan === null) return { ...refused(observed, invalid(diagnostics), versions, diagnostics), isServing };
  const warnings = diagnostics.length;
  const valid = holds(
    REASONS.Valid,
    warnings === 0
      ? 'The sync config compiles.'
      : `The sync config compiles, with ${countOf(warnings, 'warning')}; \`millrace validate\` shows them.`,
  );
  const revision = syncConfigRevision(text);
  const deployment = deploymentOf({ observed, revision, text, plan, versions, newest });
  return { valid, isServing, ...deployment };
}

/** The part that has heard from storage last. */
function newestReport({ pods }: Pick<Input, 'pods'>): PartStatus | null {
  const told = pods.flatMap(({ report }) => (report?.status?.syncConfig == null ? [] : [report.status]));
  const at = ({ storage, observedAt }: PartStatus): string => storage.observedAt ?? observedAt;
  return told.reduce<PartStatus | null>((best, next) => (best === null || at(next) > at(best) ? next : best), null);
}

function missingText({ instance }: Input, missing: 'ConfigMap' | 'Key'): Verdict {
  const { name, key } = instance.spec.syncConfig.configMapRef ?? { name: '', key: '' };
  const where = `in namespace ${instance.metadata.namespace}`;
  return missing === 'ConfigMap'
    ? fails(REASONS.ConfigMapNotFound, `ConfigMap ${name} is missing ${where}: create it with the key ${key}.`)
    : fails(REASONS.KeyNotFound, `ConfigMap ${name} ${where} has no key ${key}: add it.`);
}

function invalid(diagnostics: readonly Diagnostic[]): Verdict {
  const errors = diagnostics.filter(({ level }) => level === 'error');
  const [first] = errors;
  if (first === undefined) return fails(REASONS.Invalid, 'The sync config does not compile.');
  const { code, line, column, message } = first;
  const more = errors.length > 1 ? ` (and ${countOf(errors.length - 1, 'more error')})` : '';
  return fails(
    REASONS.Invalid,
    `[${code}] line ${line}, column ${column}: ${message}${more}`.slice(0, LONGEST_MESSAGE),
  );
}

const countOf = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

/** What is not valid never leaves the operator; what was served before goes on. */
function refused(
  observed: Input,
  valid: Verdict,
  versions: readonly SyncConfigPartStatus[] | null,
  diagnostics: readonly Diagnostic[] = [],
): Omit<SyncConfigFact, 'isServing'> {
  const error = diagnostics.find(({ level }) => level === 'error');
  const status: SyncConfigStatus = {
    ...versionsStatus(observed, versions),
    error:
      error === undefined
        ? { message: valid.message }
        : {
            code: error.code,
            line: error.line,
            column: error.column,
            message: error.message.slice(0, LONGEST_MESSAGE),
          },
  };
  const isServing = versions?.some(({ state }) => state === 'active') === true;
  const rest = isServing ? 'The one before goes on.' : 'There is none before it.';
  return {
    valid,
    deployed: fails(REASONS.NotValid, `The sync config of the spec is not deployed. ${rest}`),
    status,
    deploy: null,
  };
}

/**
 * A text with another comment has the same plan, and so no version of its own (O-128). Which revision is served by which version is remembered in the
 * status.
 */
function revisionOf(observed: Input, version: SyncConfigPartStatus): string {
  const { active, deploying } = observed.instance.status?.syncConfig ?? {};
  return [active, deploying].find((item) => item?.version === version.version)?.revision ?? version.revision;
}

function versionsStatus(
  observed: Input,
  versions: readonly SyncConfigPartStatus[] | null,
  nameOf: (version: SyncConfigPartStatus) => string = (version) => revisionOf(observed, version),
): Pick<SyncConfigStatus, 'active' | 'deploying'> {
  if (versions === null) {
    // Nobody has told; what was so is still the best that is known.
    const { active, deploying } = observed.instance.status?.syncConfig ?? {};
    return { ...(active === undefined ? {} : { active }), ...(deploying === undefined ? {} : { deploying }) };
  }
  const active = versions.find(({ state }) => state === 'active');
  const processing = versions.find(({ state }) => state === 'processing');
  const percent = processing === undefined ? null : percentCopied(observed, processing.version);
  return {
    ...(active === undefined
      ? {}
      : {
          active: {
            revision: nameOf(active),
            version: active.version,
            ...(active.label === null ? {} : { label: active.label }),
          },
        }),
    ...(processing === undefined
      ? {}
      : {
          deploying: {
            revision: nameOf(processing),
            version: processing.version,
            ...(percent === null ? {} : { percent }),
          },
        }),
  };
}

function percentCopied({ pods }: Input, version: number): number | null {
  const copies = pods.flatMap(({ report }) =>
    (report?.status?.sources ?? []).flatMap(({ leader, snapshot }) =>
      leader && snapshot?.version === version ? [snapshot] : [],
    ),
  );
  const estimated = copies.reduce((sum, { rowsEstimated }) => sum + rowsEstimated, 0);
  const copied = copies.reduce((sum, { rowsCopied }) => sum + rowsCopied, 0);
  return estimated === 0 ? null : Math.min(99, Math.floor((copied / estimated) * 100));
}

interface DeploymentInput {
  readonly observed: Input;
  readonly revision: string;
  readonly text: string;
  readonly plan: SyncPlan;
  readonly versions: readonly SyncConfigPartStatus[] | null;
  readonly newest: PartStatus | null;
}

function deploymentOf(input: DeploymentInput): Pick<SyncConfigFact, 'deployed' | 'status' | 'deploy'> {
  const { observed, revision, plan, versions } = input;
  if (versions === null) {
    const deployed = unknown('No pod has told yet what is deployed.');
    return { deployed, status: { ...versionsStatus(observed, null), pending: { revision } }, deploy: null };
  }
  const active = versions.find(({ state }) => state === 'active') ?? null;
  const processing = versions.find(({ state }) => state === 'processing') ?? null;
  const changes = planChanges(active, plan);
  const alias = aliasOf(input, active, processing, changes);
  // An alias of the status holds only while the plan is that of the version.
  const nameOf = (version: SyncConfigPartStatus): string => {
    if (version.version === alias?.version) return revision;
    const name = revisionOf(observed, version);
    return name === revision && version === active && !isSame(changes) ? version.revision : name;
  };
  const status = versionsStatus(observed, versions, nameOf);
  const isActive = active !== null && nameOf(active) === revision;
  if (isActive && processing === null) {
    const deployed = holds(REASONS.Active, `Version ${active.version} is served.`);
    return { deployed, status, deploy: null };
  }
  const withPlan: SyncConfigStatus = { ...status, plan: planStatus(revision, changes) };
  if (!isActive && processing !== null && nameOf(processing) === revision) {
    const deployed = fails(REASONS.Copying, `Version ${processing.version} is being copied beside what is served.`);
    return { deployed, status: withPlan, deploy: null };
  }
  const errored = versions.find(({ state, version }) => state === 'errored' && version > (active?.version ?? 0));
  if (errored !== undefined && nameOf(errored) === revision && !isActive) {
    const message = `Version ${errored.version} could not be copied: ${errored.error ?? 'no reason given'}. Change the sync config, or try again with POST /api/sync-rules/v1/reprocess.`;
    const error = { message: message.slice(0, LONGEST_MESSAGE) };
    return { deployed: fails(REASONS.CopyFailed, message), status: { ...withPlan, error }, deploy: null };
  }
  return request(input, withPlan, isActive);
}

/** The version that serves the revision although its text was another, when an API worker has accepted the text and made no new one of it. */
function aliasOf(
  { observed: { memory }, revision, versions, newest }: DeploymentInput,
  active: SyncConfigPartStatus | null,
  processing: SyncConfigPartStatus | null,
  changes: PlanChanges,
): SyncConfigPartStatus | null {
  const { deployed } = memory;
  if (deployed?.revision !== revision || versions?.some((version) => version.revision === revision) === true)
    return null;
  const toldAt = Date.parse(newest?.storage.observedAt ?? '');
  if (!(toldAt > deployed.atMs)) return null;
  return processing ?? (isSame(changes) ? active : null);
}

const isSame = ({ streams }: PlanChanges): boolean => streams.every(({ action }) => action === 'Kept');

/** May it be deployed now, and by whom? */
function request(
  { observed, revision, text }: DeploymentInput,
  status: SyncConfigStatus,
  isActive: boolean,
): Pick<SyncConfigFact, 'deployed' | 'status' | 'deploy'> {
  const { instance, pods, memory, now } = observed;
  const { approval, approvedRevision } = instance.spec.syncConfig;
  const pending = { ...status, pending: { revision } };
  const wait = (reason: Verdict['reason'], message: string) => ({
    deployed: fails(reason, message),
    status: pending,
    deploy: null,
  });
  if (approval === 'Manual' && approvedRevision !== revision && !isActive) {
    const how = `Read status.syncConfig.plan, then set spec.syncConfig.approvedRevision to ${revision}.`;
    return wait(REASONS.WaitingForApproval, `The sync config waits for approval. ${how}`);
  }
  const { deployFailure: failure, deployed } = memory;
  if (failure?.revision === revision) {
    const error = { ...(failure.code === null ? {} : { code: failure.code }), message: failure.message };
    const result = wait(REASONS.DeployFailed, `An API worker refused the sync config: ${failure.message}`);
    // It stays refused until it is accepted: else each attempt would change the condition twice.
    const again = now - failure.atMs >= DEPLOY_AGAIN_MS && pods.some(isDeployTarget);
    return { ...result, status: { ...pending, error }, deploy: again ? { text, revision } : null };
  }
  if (!pods.some(isDeployTarget))
    return wait(REASONS.WaitingForApiWorker, 'The sync config is deployed as soon as an API worker is ready.');
  const isUnderWay = deployed?.revision === revision && now - deployed.atMs < DEPLOY_AGAIN_MS;
  return {
    deployed: fails(REASONS.Deploying, 'The sync config is given to an API worker.'),
    status: pending,
    deploy: isUnderWay ? null : { text, revision },
  };
}

/** An API worker that takes requests. */
export function isDeployTarget({ component, isReady, isTerminating, pod }: Observed['pods'][number]): boolean {
  return component === 'api' && isReady && !isTerminating && pod.status?.podIP !== undefined;
}

function planStatus(revision: string, { streams, rowsToCopy }: PlanChanges): NonNullable<SyncConfigStatus['plan']> {
  return {
    revision,
    ...(rowsToCopy === null ? {} : { rowsToCopy }),
    streams: streams.slice(0, MOST_STREAMS).map(({ name, action, rows }) => ({
      name,
      action,
      ...(rows === null ? {} : { rows }),
    })),
  };
}
