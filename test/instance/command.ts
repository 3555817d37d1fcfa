import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

const LAUNCHER = new URL('../../cli/millrace.mjs', import.meta.url).pathname;

/** Runs a command that ends by itself; answers its exit code and what it printed. */
export async function runMillrace(...words: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [LAUNCHER, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve) => void child.once('exit', resolve));
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, output: output + errors };
}
