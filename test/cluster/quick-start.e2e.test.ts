/** The quick start of README.md for platform teams, word for word, on a real Kubernetes with databases in pods. */
import { spawn, type ChildProcess } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSdkClient, type SdkClient } from '../client/sdk-client.ts';
import { until } from '../instance/instance.ts';
import { mongodProgram } from '../services/mongodb.ts';
import { findCluster, REPOSITORY, run, STAND_INS, type Cluster } from './kubernetes.ts';

const README = await readFile(join(REPOSITORY, 'README.md'), 'utf8');
const COMMANDS = /## On Kubernetes[^]*?```sh\n([^]*?)```/.exec(README)![1]!.trim().split('\n');
const CHART_IMAGE = 'ghcr.io/millrace/millrace:0.1.0';
const FORWARDED = 'http://127.0.0.1:8081';

const cluster = await findCluster();
if (typeof cluster === 'string') console.warn(`Cluster tests are skipped. ${cluster}`);

describe.skipIf(typeof cluster === 'string')('the quick start of README.md', () => {
  const kube = cluster as Cluster;
  let client: SdkClient | null = null;
  let forwarding: ChildProcess | null = null;

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-stand-ins-'));
    try {
      await copyFile(await mongodProgram(), join(folder, 'mongod'));
      await kube.standIn('postgres:18', 'postgres.Dockerfile', STAND_INS);
      await kube.standIn('redis:8', 'redis.Dockerfile', STAND_INS);
      await kube.standIn('mongo:8', 'mongo.Dockerfile', folder);
      await kube.nameImage(CHART_IMAGE);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 900_000);
  afterAll(async () => {
    await client?.close();
    forwarding?.kill();
    for (const file of ['instance', 'databases'])
      await kube
        .kubectl(['delete', '-f', `docs/operations/quick-start/${file}.yaml`, '--ignore-not-found', '--timeout=120s'])
        .catch(() => undefined);
    await kube.helm(['uninstall', 'millrace', '-n', 'millrace-system', '--wait']).catch(() => undefined);
    await kube.kubectl(['delete', 'crd', 'syncinstances.millrace.dev', '--ignore-not-found']).catch(() => undefined);
    await kube.close();
  }, 300_000);

  test('its commands lead to a client with its rows', async () => {
    const answers = new Map<string, string>();
    for (const command of COMMANDS) {
      if (command.startsWith('kubectl port-forward')) {
        forwarding = spawn('bash', ['-c', command], { env: kube.environment, cwd: REPOSITORY, stdio: 'ignore' });
        continue;
      }
      try {
        answers.set(
          command,
          await run('bash', ['-c', command], { timeoutMs: 240_000, cwd: REPOSITORY, environment: kube.environment }),
        );
      } catch (error) {
        throw new Error(
          `${String(error)}
${await stateOf(kube)}`,
          { cause: error },
        );
      }
    }
    const answerOf = (start: string): string => [...answers].find(([command]) => command.startsWith(start))![1];
    expect(answerOf('kubectl get syncinstances')).toMatch(/demo +True +1\/1/);
    const token = answerOf('kubectl exec').trim().split('\n').at(-1)!;
    client = await startSdkClient({ todos: { owner: 'text', title: 'text' } });
    const answersHttp = (): Promise<boolean> =>
      fetch(FORWARDED).then(
        () => true,
        () => false,
      );
    await until('the forwarded port', answersHttp);
    await client.connect({ endpoint: FORWARDED, token });
    await client.untilQuery('SELECT id FROM todos', (rows) => rows.length === 50);
    const [{ owners }] = (await client.query<{ owners: string }>(
      'SELECT group_concat(DISTINCT owner) AS owners FROM todos',
    )) as [{ owners: string }];
    expect(owners).toBe('alice');
    await kube.kubectl(['delete', 'syncinstance', 'demo', '--timeout=150s']);
    expect(await kube.kubectl(['get', 'deployments,jobs', '-l', 'millrace.dev/instance=demo', '-o', 'name'])).toBe('');
  }, 600_000);
});

async function stateOf({ kubectl }: Cluster): Promise<string> {
  const questions = [
    ['get', 'all,syncinstances', '-A', '-o', 'wide'],
    ['logs', '-l', 'app.kubernetes.io/name=millrace', '--tail=20', '--prefix'],
  ];
  return (await Promise.all(questions.map((words) => kubectl(words).catch(String)))).join('\n');
}
