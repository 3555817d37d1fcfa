import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { alone } from './alone.ts';
import { isExecutable } from './install.ts';

const run = promisify(execFile);
const unpackTimeoutMs = 120_000;

export type KubePrograms = { etcd: string; apiserver: string; kubectl: string };

/** The variable that envtest of controller-runtime uses too. */
const assetsVariable = 'KUBEBUILDER_ASSETS';

let found: Promise<KubePrograms | string> | undefined;

/**
 * Programs of a Kubernetes control plane: in the folder that `KUBEBUILDER_ASSETS` names, else unpacked by
 * `../shared/kube/up --bin` beside this repository. A text instead says what is missing and what to do; tests
 * that need the programs are skipped with it.
 */
export function kubePrograms(): Promise<KubePrograms | string> {
  found ??= findPrograms();
  return found;
}

async function findPrograms(): Promise<KubePrograms | string> {
  const named = process.env[assetsVariable];
  if (named !== undefined && named !== '') return programsIn(named);
  const up = join(import.meta.dirname, '../../../shared/kube/up');
  if (!(await isExecutable(up))) {
    return `no kube-apiserver: set ${assetsVariable} to a folder with etcd, kube-apiserver and kubectl (setup-envtest use -p path)`;
  }
  try {
    const { stdout } = await alone('kube', () => run(up, ['--bin'], { timeout: unpackTimeoutMs }));
    const folder = new RegExp(`\\b${assetsVariable}=(\\S+)`).exec(stdout)?.[1];
    return folder === undefined ? `${up} --bin does not say where it put the programs` : await programsIn(folder);
  } catch (error) {
    return `${up} --bin failed: ${error instanceof Error ? error.message : String(error)}`;
  }
}

async function programsIn(folder: string): Promise<KubePrograms | string> {
  const programs = {
    etcd: join(folder, 'etcd'),
    apiserver: join(folder, 'kube-apiserver'),
    kubectl: join(folder, 'kubectl'),
  };
  for (const program of Object.values(programs)) {
    if (!(await isExecutable(program))) return `${program} is missing; ${assetsVariable} must name a folder with it`;
  }
  return programs;
}
