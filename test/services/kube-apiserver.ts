import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import type { PrivateKubeApiserver } from './contract.ts';
import { kubePrograms, type KubePrograms } from './kube-programs.ts';
import { type LocalRecipe, type LocalServer, startLocalServer } from './local-server.ts';

const readyTimeoutMs = 60_000;
const readyPollMs = 50;

/**
 * A Kubernetes API of the test's own: etcd and kube-apiserver, nothing else, as envtest does it. Objects are kept,
 * checked and watched, but no controller acts on them: no pods start, Deployments get no status, and what a deleted
 * object owned stays. Throws where the programs are missing; ask `kubePrograms()` first.
 */
export async function startKubeApiserver(): Promise<PrivateKubeApiserver> {
  const programs = await kubePrograms();
  if (typeof programs === 'string') throw new Error(programs);
  const etcd = await startLocalServer(etcdRecipe(programs));
  const token = randomBytes(24).toString('hex');
  let apiserver: LocalServer;
  try {
    apiserver = await startLocalServer(apiserverRecipe(programs, etcd.port, token));
  } catch (error) {
    await etcd.close();
    throw error;
  }
  const close = async () => {
    await apiserver.close();
    await etcd.close();
  };
  const url = `https://127.0.0.1:${apiserver.port}`;
  try {
    const authorities = await readFile(join(apiserver.folder, 'certificates', 'apiserver.crt'), 'utf8');
    const start = async () => {
      await etcd.start();
      await apiserver.start();
      await untilReady(apiserver, authorities, token);
    };
    await untilReady(apiserver, authorities, token);
    return {
      url,
      kubeconfig: kubeconfig(url, authorities, token),
      start,
      // The API server first: it would complain of its lost etcd for as long as it takes to end.
      stop: async () => {
        await apiserver.stop();
        await etcd.stop();
      },
      kill: async () => {
        await apiserver.kill();
        await etcd.kill();
      },
      close,
      log: () => apiserver.log(),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function etcdRecipe({ etcd }: KubePrograms): LocalRecipe {
  return {
    name: 'etcd',
    command: etcd,
    arguments: (port, folder) => [
      `--data-dir=${join(folder, 'data')}`,
      `--listen-client-urls=http://127.0.0.1:${port}`,
      `--advertise-client-urls=http://127.0.0.1:${port}`,
      '--listen-peer-urls=http://127.0.0.1:0',
      '--unsafe-no-fsync',
    ],
    readyLine: /serving client traffic/,
    stopSignal: 'SIGTERM',
  };
}

function apiserverRecipe({ apiserver }: KubePrograms, etcdPort: number, token: string): LocalRecipe {
  return {
    name: 'kube-apiserver',
    command: apiserver,
    prepare: async (folder) => {
      await mkdir(join(folder, 'certificates'));
      const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const mode = { mode: 0o600 };
      await writeFile(join(folder, 'sa.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }), mode);
      await writeFile(join(folder, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }), mode);
      // Who holds the token may do everything, like the administrator of a cluster.
      await writeFile(join(folder, 'tokens.csv'), `${token},admin,admin,system:masters\n`, mode);
    },
    arguments: (port, folder) => [
      `--etcd-servers=http://127.0.0.1:${etcdPort}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${port}`,
      // Where it puts a certificate that it makes for itself.
      `--cert-dir=${join(folder, 'certificates')}`,
      `--token-auth-file=${join(folder, 'tokens.csv')}`,
      '--authorization-mode=RBAC',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-signing-key-file=${join(folder, 'sa.key')}`,
      `--service-account-key-file=${join(folder, 'sa.pub')}`,
      '--service-cluster-ip-range=10.0.0.0/24',
      // Nobody makes the default accounts that it would ask for.
      '--disable-admission-plugins=ServiceAccount',
      '--endpoint-reconciler-type=none',
    ],
    readyLine: /Serving securely on/,
    stopSignal: 'SIGTERM',
  };
}

/** Resolves when `/readyz` says so: it serves a little earlier, without its roles and namespaces. */
async function untilReady(server: LocalServer, authorities: string, token: string): Promise<void> {
  const giveUp = AbortSignal.timeout(readyTimeoutMs);
  while (!(await answersOk(server.port, authorities, token))) {
    if (giveUp.aborted)
      throw new Error(`kube-apiserver is not ready after ${readyTimeoutMs / 1000} s\n${server.log()}`);
    await delay(readyPollMs);
  }
}

function answersOk(port: number, authorities: string, token: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request(
      { host: '127.0.0.1', port, path: '/readyz', ca: authorities, headers: { authorization: `Bearer ${token}` } },
      (response) => {
        response.resume();
        response.once('end', () => resolve(response.statusCode === 200));
      },
    );
    asked.once('error', () => resolve(false));
    asked.end();
  });
}

function kubeconfig(server: string, authorities: string, token: string): string {
  const name = 'millrace-test';
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name, cluster: { server, 'certificate-authority-data': Buffer.from(authorities).toString('base64') } },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'default' } }],
    'current-context': name,
  });
}
