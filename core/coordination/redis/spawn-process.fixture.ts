import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, vi } from 'vitest';

export interface TestProcess {
  /** Waits for a word that the process has printed, or will. */
  said(word: string, timeoutMs?: number): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** Exit code, once it has ended; null when a signal ended it. */
  readonly ended: Promise<number | null>;
}

const script = fileURLToPath(new URL('process.fixture.ts', import.meta.url));

/** Starts process.fixture.ts. It ends with the test process at the latest. */
export function spawnProcess(task: 'hold' | 'work' | 'everything', uri: string, keyPrefix: string): TestProcess {
  const child: ChildProcess = spawn(process.execPath, [script, task, uri, keyPrefix], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let words = '';
  let complaints = '';
  child.stdout?.on('data', (chunk: Buffer) => (words += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
  const stop = (): void => void child.kill('SIGKILL');
  process.once('exit', stop);
  const ended = once(child, 'exit').then(([code]) => {
    process.off('exit', stop);
    return code as number | null;
  });
  return {
    said: (word, timeout = 10_000) =>
      vi.waitFor(() => expect(words.split('\n'), complaints).toContain(word), { timeout, interval: 5 }),
    kill: (signal) => void child.kill(signal),
    ended,
  };
}
