/**
 * One SyncInstance through its life on a real Kubernetes: installed by Helm, applied, scaled, failing over, reconfigured, upgraded and deleted,
 * with the unmodified client connected through its Service. The tests are steps of one story and run in order.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startSdkClient, type SdkClient } from '../client/sdk-client.ts';
import { until } from '../instance/instance.ts';
import { AUDIENCE, createSurroundings, type Surroundings } from './instance.ts';
import { findCluster, type Cluster } from './kubernetes.ts';

const OPERATOR_NAMESPACE = 'millrace-system';
const TABLES = { todos: { owner: 'text', title: 'text' } } as const;
const LOCAL = 'SELECT id, owner, title FROM todos ORDER BY id';
const CONFIG = `config:
  edition: 3
streams:
  todos:
    auto_subscribe: true
    query: SELECT id, owner, title FROM todos WHERE owner = auth.user_id()
`;
const WIDER = `${CONFIG}  shared:
    auto_subscribe: true
    query: SELECT id, owner, title FROM todos WHERE owner = 'everybody'
`;

interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly containers: readonly { readonly image: string }[] };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

const cluster = await findCluster();
if (typeof cluster === 'string') console.warn(`Cluster tests are skipped. ${cluster}`);

describe.skipIf(typeof cluster === 'string')('a SyncInstance on Kubernetes', () => {
  const kube = cluster as Cluster;
  let around: Surroundings;
  let client: SdkClient;
  let written = 0;
  /** A step that failed: those after it would only wait for what never comes. */
  let failed: string | null = null;
  beforeEach((context) => {
    if (failed !== null) context.skip(`"${failed}" failed before`);
  });
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') failed = task.name;
  });

  const spec = (changes: object = {}): object => ({
    image: { repository: kube.image.repository, tag: kube.image.tag, pullPolicy: 'Never' },
    sources: [
      { name: 'default', type: 'postgresql', postgresql: { uriSecretRef: { name: 'demo-source', key: 'uri' } } },
    ],
    storage: { type: 'mongodb', mongodb: { uriSecretRef: { name: 'demo-storage', key: 'uri' } } },
    redis: { uriSecretRef: { name: 'demo-redis', key: 'uri' } },
    syncConfig: { inline: CONFIG },
    clientAuth: { keysSecretRef: { name: 'demo-keys', key: 'jwks.json' }, audience: [AUDIENCE] },
    api: { replicas: 1 },
    ...changes,
  });
  const applyInstance = (changes?: object): Promise<void> =>
    around.apply({
      apiVersion: 'millrace.dev/v1alpha1',
      kind: 'SyncInstance',
      metadata: { name: 'demo' },
      spec: spec(changes),
    });
  const write = async (count = 1): Promise<void> => {
    await around.sql(`INSERT INTO todos SELECT $1 || i, 'alice', 'title ' || i FROM generate_series(1, $2::int) i`, [
      `t${String(written++).padStart(5, '0')}-`,
      count,
    ]);
  };
  const untilEqual = async (timeoutMs = 60_000): Promise<void> => {
    const expected = await around.sql(
      `SELECT id, owner, title FROM todos WHERE owner IN ('alice', 'everybody') ORDER BY id`,
    );
    await client.untilQuery(LOCAL, (rows) => JSON.stringify(rows) === JSON.stringify(expected), timeoutMs);
  };
  /** Writes one row and waits until the client has it, whatever else is written meanwhile. */
  const writeAndSee = async (timeoutMs = 60_000): Promise<void> => {
    const id = `seen-${written++}`;
    await around.sql(`INSERT INTO todos VALUES ($1, 'alice', 'seen')`, [id]);
    await client.untilQuery(`SELECT id FROM todos WHERE id = '${id}'`, (rows) => rows.length === 1, timeoutMs);
  };
  /** Does a step again and again for as long as the action takes. */
  const meanwhile = async (step: () => Promise<void>, action: () => Promise<void>): Promise<void> => {
    let going = true;
    const steps = (async () => {
      while (going) {
        await step();
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    })();
    try {
      await action();
    } finally {
      going = false;
      await steps;
    }
  };
  /** Writes rows all the time while something goes on; afterwards the client has all of them. */
  const whileWriting = async (action: () => Promise<void>): Promise<void> => {
    await meanwhile(() => write(5), action);
    await untilEqual();
  };
  const pods = async (component: 'api' | 'replicator'): Promise<Pod[]> => {
    const list = await kube.get<{ items: Pod[] }>([
      ...['pods', '-n', around.namespace, '-l', `app.kubernetes.io/component=${component}`],
    ]);
    return list?.items ?? [];
  };
  /** Pods that are ready and not about to go; a pod that was replaced is listed until its grace period is over. */
  const readyPods = async (component: 'api' | 'replicator'): Promise<Pod[]> =>
    (await pods(component)).filter(
      ({ metadata, status }) =>
        metadata.deletionTimestamp === undefined &&
        status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true,
    );
  const leader = async (): Promise<string> =>
    (await around.untilInstance('a leader', ({ status }) => (status?.sources?.[0]?.leader ?? '') !== '')).status!
      .sources![0]!.leader!;

  beforeAll(async () => {
    around = await createSurroundings(kube, 'story');
    await around.sql('CREATE TABLE todos (id text PRIMARY KEY, owner text NOT NULL, title text NOT NULL)');
    await around.sql('CREATE PUBLICATION powersync FOR ALL TABLES');
    await write(1000);
    await around.writeSecrets();
    client = await startSdkClient(TABLES);
  }, 600_000);
  afterAll(async () => {
    await client?.close();
    await around?.close();
    await kube.helm(['uninstall', 'millrace', '-n', OPERATOR_NAMESPACE, '--wait']).catch(() => undefined);
    await kube.close();
  }, 300_000);

  test('helm install: the operator runs and serves its API', async () => {
    const { repository, tag } = kube.image;
    await kube.helm([
      ...[
        'upgrade',
        '--install',
        'millrace',
        'helm/millrace',
        '-n',
        OPERATOR_NAMESPACE,
        '--create-namespace',
        '--wait',
      ],
      ...['--timeout', '120s', '--set', `image.repository=${repository}`, '--set-string', `image.tag=${tag}`],
      ...['--set', 'image.pullPolicy=Never'],
    ]);
    await kube.helm(['test', 'millrace', '-n', OPERATOR_NAMESPACE, '--timeout', '120s']);
  }, 300_000);

  test('kubectl apply: Ready, and rows arrive at the client through the Service', async () => {
    const started = performance.now();
    await applyInstance();
    await around.untilCondition('Ready', 'True');
    console.info(`from kubectl apply to Ready: ${((performance.now() - started) / 1000).toFixed(1)} s`);
    await client.connect({ endpoint: await around.endpoint(), token: await around.token('alice') });
    await client.untilSynced();
    await untilEqual();
    const columns = await kube.kubectl(['get', 'si', '-n', around.namespace]);
    expect(columns).toMatch(/^NAME +READY +SOURCES +LAG +CONFIG +WORKERS +CLIENTS +AGE\ndemo +True +1\/1/);
  }, 300_000);

  test('steady state: nothing is written', async () => {
    const versions = async (): Promise<string> =>
      kube.kubectl([
        ...[
          'get',
          'deployments,services,configmaps,secrets,serviceaccounts,networkpolicies,poddisruptionbudgets,cronjobs',
        ],
        ...[
          '-n',
          around.namespace,
          '-o',
          'jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{"\\n"}{end}',
        ],
      ]);
    const before = await versions();
    // ends by itself; resource versions would tell of the writes to all objects of the cluster, its leases too
    const watched = await kube.kubectl([
      ...['get', 'syncinstance', 'demo', '-n', around.namespace, '--watch-only', '--request-timeout=15s'],
      ...['-o', 'jsonpath={.metadata.resourceVersion} {.status}{"\\n"}'],
    ]);
    expect(await versions()).toBe(before);
    // its own status may tell of lag and clients, but at most once in 15 seconds
    const writes = watched.split('\n').filter((line) => line !== '');
    expect(writes.length, watched).toBeLessThanOrEqual(2);
  }, 60_000);

  test('API workers are scaled from 1 to 3 with the client connected', async () => {
    await whileWriting(async () => {
      await kube.kubectl(['scale', 'si', 'demo', '-n', around.namespace, '--replicas=3']);
      await around.untilInstance('three workers', ({ status }) => status?.api?.readyReplicas === 3);
    });
    expect((await client.status()).connected).toBe(true);
  }, 300_000);

  test('the leader is deleted: a standby takes over and nothing is lost (O-11, R-41)', async () => {
    const before = await leader();
    await whileWriting(async () => {
      const started = performance.now();
      await kube.kubectl(['delete', 'pod', before, '-n', around.namespace, '--force', '--grace-period=0']);
      await writeAndSee();
      console.info(`rows flow again after ${((performance.now() - started) / 1000).toFixed(1)} s without the leader`);
      await around.untilInstance(
        'another leader',
        ({ status }) => ![undefined, '', before].includes(status?.sources?.[0]?.leader),
      );
    });
  }, 300_000);

  test('the sync config changes without downtime, and the plan says what that means', async () => {
    await around.sql(`INSERT INTO todos VALUES ('e1', 'everybody', 'for all')`);
    const version = (await around.instance())!.status!.syncConfig!.active!.version;
    const problems: string[] = [];
    const watch = async (): Promise<void> => {
      const { connected, downloadError } = await client.status();
      if (downloadError !== null) problems.push(downloadError);
      if (!connected) problems.push('not connected');
    };
    await meanwhile(watch, async () => {
      await applyInstance({ syncConfig: { inline: WIDER, approval: 'Manual' } });
      const { status } = await around.untilInstance(
        'a plan',
        (object) => object.status?.syncConfig?.plan !== undefined,
      );
      const { plan, pending, active } = status!.syncConfig!;
      expect(active!.version).toBe(version);
      expect(plan!.streams).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ name: 'todos', action: 'Kept' }),
          expect.objectContaining({ name: 'shared', action: 'Copied' }),
        ]),
      );
      expect(plan!.rowsToCopy).toBeGreaterThan(0);
      const approvedRevision = pending!.revision;
      await applyInstance({ syncConfig: { inline: WIDER, approval: 'Manual', approvedRevision } });
      await around.untilInstance(
        'the next version',
        (object) => (object.status?.syncConfig?.active?.version ?? 0) > version,
      );
      await untilEqual();
    });
    expect(problems).toEqual([]);
  }, 300_000);

  test('a broken sync config is refused with its position, and the old one keeps serving', async () => {
    const before = (await around.instance())!.status!.syncConfig!.active;
    await applyInstance({
      syncConfig: { inline: WIDER.replace('todos WHERE owner = auth', 'todos WHERE nobody = auht') },
    });
    const condition = await around.untilCondition('SyncConfigValid', 'False');
    expect(condition.message).toMatch(/line 6/);
    const { status } = (await around.instance())!;
    expect(status!.syncConfig!.error).toMatchObject({ code: expect.stringMatching(/^PSYNC_R/) as string, line: 6 });
    expect(status!.syncConfig!.active).toEqual(before);
    await write();
    await untilEqual();
    await applyInstance({ syncConfig: { inline: WIDER } });
    await around.untilCondition('SyncConfigValid', 'True');
  }, 300_000);

  test('the password of the source is rotated', async () => {
    await around.changePassword();
    await around.writeSecrets();
    await whileWriting(async () => {
      await around.untilCondition('Progressing', 'False');
      await around.untilCondition('Ready', 'True');
    });
  }, 300_000);

  test('the image is upgraded under load: storage first, then the replicators, then the workers', async () => {
    const { repository, tag } = kube.image;
    await kube.nameImage(`${repository}:${tag}-next`);
    await whileWriting(async () => {
      await applyInstance({
        syncConfig: { inline: WIDER },
        image: { repository, tag: `${tag}-next`, pullPolicy: 'Never' },
        api: { replicas: 3 },
      });
      await around.untilInstance('the new image', ({ status }) => status?.image === `${repository}:${tag}-next`);
      await around.untilCondition('Progressing', 'False', 240_000);
      await around.untilCondition('Ready', 'True');
    });
    const all = async (): Promise<Pod[]> => [...(await pods('api')), ...(await pods('replicator'))];
    const isNew = ({ spec: { containers } }: Pod): boolean => containers[0]?.image === `${repository}:${tag}-next`;
    await until('pods of the old image to go', async () => (await all()).every(isNew), 150_000);
    expect((await readyPods('api')).length).toBe(3);
    expect((await readyPods('replicator')).length).toBeGreaterThan(0);
    const jobs = await kube.kubectl(['get', 'jobs', '-n', around.namespace, '-o', 'name']);
    expect(jobs).toMatch(/demo-migrate-/);
  }, 420_000);

  test('a node that takes no more pods, and pods that are killed on it', async () => {
    const node = (await kube.kubectl(['get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}'])).trim();
    await kube.kubectl(['cordon', node]);
    try {
      await whileWriting(async () => {
        const { name } = (await readyPods('api'))[0]!.metadata;
        await kube.kubectl(['delete', 'pod', name, '-n', around.namespace, '--force', '--grace-period=0']);
        await writeAndSee();
      });
    } finally {
      await kube.kubectl(['uncordon', node]);
    }
    await around.untilInstance('three workers again', ({ status }) => status?.api?.readyReplicas === 3);
  }, 300_000);

  test('kubectl delete: no slot, no data and no object is left behind', async () => {
    expect(await around.slots()).not.toEqual([]);
    await kube.kubectl(['delete', 'si', 'demo', '-n', around.namespace, '--timeout=150s']);
    expect(await around.slots()).toEqual([]);
    const left = async (): Promise<string> =>
      (
        await kube.kubectl([
          ...[
            'get',
            'deployments,services,configmaps,secrets,serviceaccounts,networkpolicies,poddisruptionbudgets,cronjobs,jobs,pods',
          ],
          ...['-n', around.namespace, '-l', 'millrace.dev/instance=demo', '-o', 'name'],
        ])
      ).trim();
    await until('owned objects to go', async () => (await left()) === '', 120_000);
  }, 300_000);

  test('helm uninstall keeps the CRD', async () => {
    await kube.helm(['uninstall', 'millrace', '-n', OPERATOR_NAMESPACE, '--wait']);
    expect(await kube.kubectl(['get', 'crd', 'syncinstances.millrace.dev', '-o', 'name'])).toMatch(/syncinstances/);
    await kube.kubectl(['delete', 'crd', 'syncinstances.millrace.dev']);
  }, 120_000);
});
