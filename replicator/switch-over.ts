/**
 * The moment a new version takes over (S-431, O-126): the former stream stops at a transaction boundary, the new one comes to
 * exactly there, and storage makes the change in one step. A source transaction is in one version or the other, never torn.
 */
import type { BucketStorage, SourceWriter } from '#core/bucket-storage/contract.ts';
import type { DeployedVersion } from '#core/bucket-storage/sync-config-store.ts';
import type { Coordination } from '#core/coordination/contract.ts';
import type { Clock } from '#core/platform/clock.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { Approach } from './approach.ts';
import type { RunningStream } from './leadership.ts';
import type { RunnerLog } from './runner-log.ts';

/** Longer than this the former stream is not kept waiting: everything starts again from storage. */
const ALIGN_MS = 30_000;
const LOOK_MS = 20;
const NUDGE_SOURCE_MS = 500;

export interface SwitchOver {
  readonly processing: DeployedVersion;
  readonly former: RunningStream | null;
  readonly next: RunningStream;
  readonly approach: Approach;
  readonly tag: string;
  readonly writer: SourceWriter;
  readonly storage: BucketStorage;
  readonly coordination: Coordination;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly log: RunnerLog;
}

/** Answers the version, now active; null when it is not time yet. Throws when the streams cannot be aligned. */
export async function switchOver(options: SwitchOver): Promise<DeployedVersion | null> {
  const { processing, former, next, writer, storage, coordination, clock, signal, log } = options;
  if (former && !options.approach.near(former, next, (a, b) => next.source.comparePositions(a, b))) return null;
  if (!(await othersReady(options))) return null;
  if (former) await align(options, former);
  const result = await writer.switchOver({ version: processing.version, from: former?.id ?? null, to: next.id });
  if (!result.active) await until(() => isActive(storage, processing.version), clock, signal);
  if (result.notice) coordination.publishCommit(result.notice);
  const version = await storage.configs.get(processing.version);
  if (!version) throw codedError('PSYNC_S0001', `Version ${processing.version} vanished while it took over.`);
  log.info({ version: version.version }, 'The new sync config version is active');
  return version;
}

/** With several sources nobody is stopped before all of them are copied: the pause stays short. */
async function othersReady({ processing, storage, tag }: SwitchOver): Promise<boolean> {
  if (new Set(processing.streams.map((stream) => stream.source)).size <= 1) return true;
  const version = await storage.configs.get(processing.version);
  const active = await storage.configs.active();
  const shared = new Set(active?.streams.map((stream) => stream.id));
  const others = version?.streams.filter((stream) => stream.source !== tag && !shared.has(stream.id)) ?? [];
  return others.every((stream) => stream.progress?.snapshot === 'done');
}

async function align({ next, writer, clock, signal }: SwitchOver, former: RunningStream): Promise<void> {
  await former.runner.stopAtBoundary();
  const position = former.runner.position.at!;
  next.runner.setGate(position);
  let nudged = clock.monotonic();
  await next.source.heartbeat();
  await until(
    async () => {
      if (clock.monotonic() - nudged > NUDGE_SOURCE_MS) {
        nudged = clock.monotonic();
        await next.source.heartbeat();
      }
      return next.runner.caughtUp(position);
    },
    clock,
    signal,
  );
  await writer.keepalive(former.id, position);
  await writer.keepalive(next.id, position);
}

async function isActive(storage: BucketStorage, version: number): Promise<boolean> {
  return (await storage.configs.active())?.version === version;
}

async function until(reached: () => Promise<boolean>, clock: Clock, signal: AbortSignal): Promise<void> {
  const start = clock.monotonic();
  while (!(await reached())) {
    if (clock.monotonic() - start > ALIGN_MS) {
      throw codedError(
        'PSYNC_S1101',
        'The new version could not take over in time: its stream did not reach the position of the former one. It is tried again.',
      );
    }
    await clock.sleep(LOOK_MS, signal);
  }
}
