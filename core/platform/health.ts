import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from './clock.ts';
import type { EndpointAnswer } from './http-endpoint.ts';

/** The three questions of Kubernetes (O-163, O-164, O-168). */
export type ProbeKind = 'startup' | 'liveness' | 'readiness';
export const PROBE_KINDS: readonly ProbeKind[] = ['startup', 'liveness', 'readiness'];

/** The body of every probe's answer (wire/01-before-ready.txt). */
export interface ProbeBody {
  readonly ready: boolean;
  readonly started: boolean;
  /** ISO 8601; moves while the process is alive. */
  readonly touched_at: string;
}

/** Something that must hold for the process to take traffic. Holds until it is set to false. */
export interface ReadinessCondition {
  set(holds: boolean): void;
}

/**
 * What the process says about itself. Depends on nothing outside of it, so that an outage of source or storage does not
 * restart healthy processes (O-165).
 */
export interface Health {
  /** Everything runs: startup turns positive. */
  started(): void;
  /** A named condition of readiness, for example `connections` below their limit, or `draining` (O-168). */
  condition(name: string): ReadinessCondition;
  /** Liveness turns negative for good: only a restart helps. */
  failed(): void;
  isPositive(kind: ProbeKind): boolean;
  body(): ProbeBody;
  /** Called at every change, and every few seconds as a sign of life. Returns a function that ends it. */
  onTouch(listener: () => void): () => void;
  close(): void;
}

/** A sign of life this often. */
const TOUCH_INTERVAL_MS = 5000;
/** Without a sign for so long the process is taken for dead: its event loop hangs. */
export const STALE_AFTER_MS = 30_000;

export function createHealth(clock: Clock): Health {
  const conditions = new Map<string, boolean>();
  const listeners = new Set<() => void>();
  let hasStarted = false;
  let hasFailed = false;
  let touchedAt = clock.now();
  let lastTouch = clock.monotonic();
  let timer: Timer;

  const touch = (): void => {
    touchedAt = clock.now();
    lastTouch = clock.monotonic();
    for (const listener of listeners) listener();
  };
  const schedule = (): void => {
    timer = clock.setTimer(TOUCH_INTERVAL_MS, () => {
      touch();
      schedule();
    });
  };
  schedule();

  const isPositive = (kind: ProbeKind): boolean => {
    if (kind === 'startup') return hasStarted;
    const isAlive = !hasFailed && clock.monotonic() - lastTouch < STALE_AFTER_MS;
    if (kind === 'liveness') return isAlive;
    return isAlive && hasStarted && ![...conditions.values()].includes(false);
  };

  return {
    started() {
      hasStarted = true;
      touch();
    },
    condition: (name) => ({
      set(holds) {
        if ((conditions.get(name) ?? true) === holds) return;
        conditions.set(name, holds);
        touch();
      },
    }),
    failed() {
      hasFailed = true;
      touch();
    },
    isPositive,
    body: () => ({
      ready: isPositive('readiness'),
      started: hasStarted,
      touched_at: new Date(touchedAt).toISOString(),
    }),
    onTouch(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close() {
      timer.cancel();
      listeners.clear();
    },
  };
}

/** The answer to `GET /probes/<kind>`: 200 or 400 (O-163, O-164). */
export function probeAnswer(health: Health, kind: ProbeKind): EndpointAnswer {
  const status = health.isPositive(kind) ? 200 : 400;
  return { status, contentType: 'application/json; charset=utf-8', body: JSON.stringify(health.body()) };
}

/** `/probes/startup`, `/probes/liveness` and `/probes/readiness`, for `startHttpEndpoint`. */
export function probeRoutes(health: Health): Record<string, () => EndpointAnswer> {
  return Object.fromEntries(PROBE_KINDS.map((kind) => [`/probes/${kind}`, () => probeAnswer(health, kind)]));
}

/** Files that stand for probes. */
export interface ProbeFiles {
  /** Resolves when the files show the present state. */
  settled(): Promise<void>;
  /** Removes the files. */
  close(): Promise<void>;
}

/**
 * Keeps one file per probe in `folder` (O-66, O-166): `startup`, `liveness`, `readiness`. A file exists exactly while its
 * probe is positive and is written anew with every sign of life; it holds the body of the HTTP probe. The documentation
 * gives no names, these are ours.
 *
 * What goes wrong with a file is reported once per message to `onError`, never thrown: a full disk must not end the
 * process, and a probe that cannot be written is negative.
 */
export function writeProbeFiles(health: Health, folder: string, onError: (error: unknown) => void): ProbeFiles {
  let running: Promise<void> | undefined;
  let isOutdated = false;
  let lastError = '';

  const write = async (): Promise<void> => {
    await mkdir(folder, { recursive: true });
    for (const kind of PROBE_KINDS) {
      const path = join(folder, kind);
      if (health.isPositive(kind)) {
        await writeFile(`${path}.${process.pid}`, JSON.stringify(health.body()));
        await rename(`${path}.${process.pid}`, path);
      } else {
        await rm(path, { force: true });
      }
    }
  };
  /** One writer at a time; changes meanwhile lead to one more round. */
  const update = (): void => {
    isOutdated = true;
    running ??= (async () => {
      while (isOutdated) {
        isOutdated = false;
        await write().catch((error: unknown) => {
          const message = String(error);
          if (message !== lastError) onError(error);
          lastError = message;
        });
      }
      running = undefined;
    })();
  };
  const stop = health.onTouch(update);
  update();

  return {
    settled: async () => running,
    async close() {
      stop();
      await running;
      await Promise.all(PROBE_KINDS.map((kind) => rm(join(folder, kind), { force: true }).catch(onError)));
    },
  };
}

/**
 * Reads a probe file, for images without shell: positive when it exists and is fresh, so that a process that hangs is
 * noticed although its files remain.
 */
export async function readProbeFile(folder: string, kind: ProbeKind, clock: Clock): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(join(folder, kind));
    return clock.now() - mtimeMs < STALE_AFTER_MS;
  } catch {
    return false;
  }
}
