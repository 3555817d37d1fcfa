import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Lifecycle } from './contract.ts';
import { freePort } from './free-port.ts';
import { type Janitor, startJanitor } from './janitor.ts';

/** How to run one server program on this machine. */
export type LocalRecipe = {
  name: string;
  command: string;
  arguments(port: number, folder: string): string[];
  /** Who runs it; default: whoever runs the tests. The data folder belongs to this user. */
  user?: { uid: number; gid: number } | undefined;
  environment?: Record<string, string>;
  /** Fills the empty data folder, before the first start. */
  prepare?(folder: string): Promise<void>;
  /** The line it prints when it accepts connections. */
  readyLine: RegExp;
  /** The signal for an orderly shutdown. */
  stopSignal: NodeJS.Signals;
};

export type LocalServer = Lifecycle & { readonly port: number; readonly folder: string };

const startTimeoutMs = 120_000;
const stopTimeoutMs = 60_000;
const keptLogLines = 200;

/**
 * Starts a server on a free port of 127.0.0.1, its data under a new folder in the temporary folder. The server ends and
 * the folder goes with this process, however it ends (see janitor.ts).
 */
export async function startLocalServer(recipe: LocalRecipe): Promise<LocalServer> {
  const folder = await mkdtemp(join(tmpdir(), `millrace-${recipe.name}-`));
  const janitor = startJanitor(folder);
  try {
    if (recipe.user !== undefined) await chown(folder, recipe.user.uid, recipe.user.gid);
    await recipe.prepare?.(folder);
    return await startOnFreePort(recipe, folder, janitor);
  } catch (error) {
    janitor.release();
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function startOnFreePort(recipe: LocalRecipe, folder: string, janitor: Janitor): Promise<LocalServer> {
  for (let attempt = 1; ; attempt += 1) {
    const server = localServer(recipe, folder, janitor, await freePort());
    try {
      await server.start();
      return server;
    } catch (error) {
      // Somebody may have taken the port between our look and the server's.
      if (attempt === 3 || !/address.*in use/i.test(server.log())) throw error;
    }
  }
}

function localServer(recipe: LocalRecipe, folder: string, janitor: Janitor, port: number): LocalServer {
  const lines: string[] = [];
  let child: ChildProcess | undefined;
  const log = () => lines.join('\n');

  async function start(): Promise<void> {
    if (child !== undefined) return;
    lines.length = 0;
    const started = spawnServer(recipe, port, folder);
    child = started;
    if (started.pid !== undefined) janitor.watch(started.pid);
    // 'close' comes after the last process that holds the output: for Postgres that is the last backend.
    started.once('close', () => {
      if (child !== started) return;
      child = undefined;
      janitor.watch(undefined);
    });
    try {
      await untilReady(recipe, started, lines);
    } catch (error) {
      await end('SIGKILL');
      child = undefined;
      throw error;
    }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const running = child;
    // Without a process id it never came to life.
    if (running?.pid === undefined) return;
    const closed = once(running, 'close');
    running.kill(signal);
    const overdue = setTimeout(() => running.kill('SIGKILL'), stopTimeoutMs);
    await closed;
    clearTimeout(overdue);
  }

  async function close(): Promise<void> {
    await end('SIGKILL');
    janitor.release();
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }

  const stop = () => end(recipe.stopSignal);
  const kill = () => end('SIGKILL');
  return { port, folder, start, stop, kill, close, log, [Symbol.asyncDispose]: close };
}

function spawnServer(recipe: LocalRecipe, port: number, folder: string): ChildProcess {
  const child = spawn(recipe.command, recipe.arguments(port, folder), {
    // The current folder may be closed to the server's user.
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C in the terminal reaches the tests, not the servers they are using.
    detached: true,
    env: { ...process.env, ...recipe.environment },
    ...recipe.user,
  });
  child.unref();
  return child;
}

/** Resolves with the ready line; rejects, with what the server printed, when it ends or takes too long. */
function untilReady(recipe: LocalRecipe, child: ChildProcess, lines: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => {
      clearTimeout(timer);
      const printed = lines.slice(-30).join('\n');
      reject(new Error(`${recipe.name} did not start: ${reason}\n${recipe.command}\n${printed}`));
    };
    const timer = setTimeout(() => fail(`not ready after ${startTimeoutMs / 1000} s`), startTimeoutMs);
    child.once('error', (error) => fail(error.message));
    child.once('close', (code, signal) => fail(`it ended with ${signal ?? `exit code ${code}`}`));
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      // Reading its output must not keep the tests alive.
      (stream as unknown as { unref?: () => void }).unref?.();
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line);
        if (lines.length > keptLogLines) lines.shift();
        if (!recipe.readyLine.test(line)) return;
        clearTimeout(timer);
        resolve();
      });
    }
  });
}
