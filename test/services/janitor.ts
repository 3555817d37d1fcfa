import { spawn } from 'node:child_process';

/** Cleans up after this process when it can no longer do so itself. */
export type Janitor = {
  /** The process to end; undefined: none at the moment. */
  watch(pid: number | undefined): void;
  /** Everything was cleaned up in order; the janitor leaves. */
  release(): void;
};

// Reads orders until its input ends, which happens when the process that started it ends, also by SIGKILL.
const script = `
pid=
while read -r order value; do
  case $order in
    watch) pid=$value ;;
    release) exit 0 ;;
  esac
done
if [ -n "$pid" ]; then kill -KILL "$pid" 2>/dev/null; fi
rm -rf -- "$1" 2>/dev/null || { sleep 1; rm -rf -- "$1"; }
`;

/**
 * A small shell that outlives this process just long enough to end a server and to remove its folder. A handler for
 * `exit` would not do: test workers are ended by signals, and a crash runs no handlers.
 */
export function startJanitor(folder: string): Janitor {
  const shell = spawn('/bin/sh', ['-c', script, 'janitor', folder], {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  shell.unref();
  (shell.stdin as unknown as { unref?: () => void }).unref?.();
  shell.stdin.on('error', () => {});
  return {
    watch: (pid) => void shell.stdin.write(`watch ${pid ?? ''}\n`),
    release: () => void shell.stdin.end('release\n'),
  };
}
