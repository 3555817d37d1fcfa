/**
 * The Kubernetes that cluster tests run on: the one in KUBECONFIG (kind, k3s, …), or the real single-node cluster of ../shared/kube, which is
 * started for the run and stopped after it. The image is built from images/Dockerfile, unless MILLRACE_TEST_IMAGE names one that the
 * cluster has.
 */
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const REPOSITORY = new URL('../../', import.meta.url).pathname;
export const STAND_INS = join(REPOSITORY, 'test/cluster/stand-ins');
const IMAGE = 'millrace:cluster-test';
const START_MS = 300_000;
const COMMAND_MS = 180_000;
const BUILD_MS = 900_000;
/** The node's own address, where pods reach servers of this machine. */
const SHARED_HOST = '10.99.0.1';

export interface Cluster {
  /** Loaded, by repository and tag. */
  readonly image: { readonly repository: string; readonly tag: string };
  /** For programs that are to find the cluster. */
  readonly environment: NodeJS.ProcessEnv;
  /** An address of this machine that pods can connect to. */
  readonly hostAddress: string;
  kubectl(words: readonly string[], input?: string): Promise<string>;
  helm(words: readonly string[]): Promise<string>;
  /** Makes the image known under a further name and tag, as a newer version or a published one would be. */
  nameImage(name: string): Promise<void>;
  /** Builds an image of `stand-ins/` under the name of one that this cluster cannot pull; others pull it. */
  standIn(name: string, recipe: string, context: string): Promise<void>;
  /** Answers of `kubectl get … -o json`; null where there is no such object. */
  get<T>(words: readonly string[]): Promise<T | null>;
  close(): Promise<void>;
}

/** Starts or finds a cluster; a text says what is missing. */
export async function findCluster(): Promise<Cluster | string> {
  const given = process.env['KUBECONFIG'];
  if (given !== undefined && given !== '') return foreignCluster();
  const kube = process.env['MILLRACE_TEST_KUBE'] ?? join(REPOSITORY, '../shared/kube');
  if (!existsSync(join(kube, 'up')))
    return `No Kubernetes: set KUBECONFIG (with MILLRACE_TEST_IMAGE and MILLRACE_TEST_HOST_ADDRESS), or MILLRACE_TEST_KUBE to a folder like ../shared/kube, which is not at ${kube}.`;
  if (process.getuid?.() !== 0) return `The cluster of ${kube} needs root.`;
  return sharedCluster(kube);
}

function foreignCluster(): Cluster | string {
  const image = process.env['MILLRACE_TEST_IMAGE'];
  const hostAddress = process.env['MILLRACE_TEST_HOST_ADDRESS'];
  if (image === undefined || !image.includes(':'))
    return 'MILLRACE_TEST_IMAGE is missing: the name and tag of an image of this repository that the cluster of KUBECONFIG has, and has as TAG-next too.';
  if (hostAddress === undefined)
    return 'MILLRACE_TEST_HOST_ADDRESS is missing: an address of this machine that pods of the cluster of KUBECONFIG can connect to.';
  return clusterOf({
    image,
    hostAddress,
    environment: process.env,
    tag: async () => undefined,
    standIn: async () => undefined,
    close: async () => undefined,
  });
}

async function sharedCluster(kube: string): Promise<Cluster> {
  await run(join(kube, 'up'), [], { timeoutMs: START_MS });
  const folder = process.env['KUBE_DIR'] ?? '/tmp/kube';
  const environment = { ...process.env, ...(await exported(join(folder, 'env'))) };
  const image = (...words: string[]): Promise<string> =>
    run(join(kube, 'image'), words, { timeoutMs: BUILD_MS, environment, cwd: REPOSITORY });
  const close = async (): Promise<void> => void (await run(join(kube, 'down'), [], { timeoutMs: START_MS }));
  try {
    await image('build', '-t', IMAGE, '-f', 'images/Dockerfile', '.');
  } catch (error) {
    await close();
    throw error;
  }
  const tag = async (name: string): Promise<void> => {
    await image(
      'buildah',
      'tag',
      `docker.io/library/${IMAGE}`,
      name.includes('/') ? name : `docker.io/library/${name}`,
    );
    await image('load', name);
  };
  const standIn = async (name: string, recipe: string, context: string): Promise<void> =>
    void (await image('build', '-t', name, '-f', join(STAND_INS, recipe), context));
  return clusterOf({ image: IMAGE, hostAddress: SHARED_HOST, environment, tag, standIn, close });
}

interface Found {
  readonly image: string;
  readonly hostAddress: string;
  readonly environment: NodeJS.ProcessEnv;
  tag(name: string): Promise<void>;
  standIn(name: string, recipe: string, context: string): Promise<void>;
  close(): Promise<void>;
}

function clusterOf({ image, hostAddress, environment, tag, standIn, close }: Found): Cluster {
  const at = image.lastIndexOf(':');
  const kubectl: Cluster['kubectl'] = (words, input) =>
    run('kubectl', words, { timeoutMs: COMMAND_MS, environment, input, cwd: REPOSITORY });
  return {
    image: { repository: image.slice(0, at), tag: image.slice(at + 1) },
    environment,
    hostAddress,
    kubectl,
    helm: (words) => run('helm', words, { timeoutMs: COMMAND_MS, environment, cwd: REPOSITORY }),
    nameImage: tag,
    standIn,
    async get<T>(words: readonly string[]) {
      const text = await kubectl(['get', ...words, '-o', 'json', '--ignore-not-found']);
      return text.trim() === '' ? null : (JSON.parse(text) as T);
    },
    close,
  };
}

/** `export A=b C=d` lines, with `$PATH` for the present one. */
async function exported(file: string): Promise<Record<string, string>> {
  const { stdout } = await promisify(execFile)('bash', ['-c', '. "$1" && env -0', 'bash', file]);
  const pairs = stdout.split('\0').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
  return Object.fromEntries(pairs.filter(([name]) => /^(KUBE|PATH$)/.test(name!))) as Record<string, string>;
}

interface RunOptions {
  readonly timeoutMs: number;
  readonly environment?: NodeJS.ProcessEnv | undefined;
  readonly cwd?: string | undefined;
  readonly input?: string | undefined;
}

/** Its standard output; rejects with all that it printed when it fails. */
export function run(command: string, words: readonly string[], options: RunOptions): Promise<string> {
  const { timeoutMs, environment = process.env, cwd, input } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command, words, { env: environment, cwd, timeout: timeoutMs, stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => void (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => void (stderr = (stderr + chunk.toString()).slice(-20_000)));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) return resolve(stdout);
      reject(new Error(`${command} ${words.join(' ')}: ${code ?? signal}\n${stderr}\n${stdout.slice(-5000)}`));
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(input ?? '');
  });
}
