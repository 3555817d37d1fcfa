import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

const LAUNCHER = new URL('../../cli/millrace.mjs', import.meta.url).pathname;

export interface CommandResult {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a command that ends by itself; answers its exit code and what it printed. */
export function runMillrace(...words: string[]): Promise<CommandResult> {
  return runMillraceWith({}, ...words);
}

/** The same with these variables in its environment too. */
export async function runMillraceWith(
  environment: Readonly<Record<string, string>>,
  ...words: readonly string[]
): Promise<CommandResult> {
  const env = { ...process.env, ...environment };
  const child = spawn(process.execPath, [LAUNCHER, ...words], { stdio: ['ignore', 'pipe', 'pipe'], env });
  const ended = new Promise<number | null>((resolve) => void child.once('exit', resolve));
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, output: output + errors };
}
