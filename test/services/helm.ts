import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from './install.ts';
import { kubePrograms } from './kube-programs.ts';

const run = promisify(execFile);

/** Runs `helm` with these words and answers what it printed; rejects with the end of what it said when it fails. */
export type Helm = (...words: string[]) => Promise<string>;

/**
 * Helm: on the PATH, or with the programs of Kubernetes (`kubePrograms`). A text instead says what is missing; tests that
 * need it are skipped with it.
 */
export async function findHelm(): Promise<Helm | string> {
  const program = (await findProgram('helm')) ?? (await besideKubectl());
  if (program === undefined) return 'no helm: put it (3.14 or newer) on the PATH, or Kubernetes into ../shared/kube';
  return async (...words) => {
    try {
      const { stdout } = await run(program, words, { maxBuffer: 64 << 20, timeout: 5 * 60_000 });
      return stdout;
    } catch (error) {
      const { stderr, message } = error as { stderr?: string; message: string };
      throw new Error(`helm ${words.join(' ')}: ${stderr?.trim().slice(-4000) || message}`, { cause: error });
    }
  };
}

async function besideKubectl(): Promise<string | undefined> {
  const programs = await kubePrograms();
  return typeof programs === 'string' ? undefined : findProgram('helm', [dirname(programs.kubectl)]);
}
