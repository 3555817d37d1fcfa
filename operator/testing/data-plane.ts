/**
 * The data plane of instances as the operator meets it over HTTP: `/status` of every pod, and the route to deploy a sync config. Pods are told apart by
 * their addresses, 127.x.y.z, which all lead here.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PartStatusSchema, type PartStatus, type SyncConfigPartStatus } from '#core/platform/status/contract.ts';
import { syncConfigRevision } from '#core/platform/status/revision.ts';
import { compileSyncConfig } from '#core/sync-config/compile.ts';
import { definitionReads, readTable } from '#core/sync-config/plan-changes.ts';
import { Ajv } from 'ajv';

export interface PlayedPod {
  readonly name: string;
  readonly component: string;
  readonly source: string;
}

export interface DataPlane {
  readonly statusPort: number;
  readonly apiPort: number;
  /** By address. */
  readonly pods: Map<string, PlayedPod>;
  /** Newest first. */
  versions: SyncConfigPartStatus[];
  /** Texts that were given to an API worker. */
  readonly deployed: string[];
  /** A deployed version needs a first copy, which `finishCopy` ends. */
  copies: boolean;
  finishCopy(): void;
  /** Refuses every deployment. */
  refuses: { readonly code: string; readonly description: string } | null;
  token: string | null;
  connections: number;
  /** Pod that leads, by `leaseOf`; the first that asks by default. */
  readonly leaders: Map<string, string>;
  /** Changes what a pod says. */
  amend: (status: PartStatus, pod: PlayedPod) => PartStatus;
  close(): Promise<void>;
}

/** Pods of one Deployment stand for one source of one instance. */
export function leaseOf(pod: string): string {
  return pod.replace(/-[^-]+-\d+$/, '');
}

const checked = new Ajv({ strict: true }).compile<PartStatus>(PartStatusSchema);

export async function startDataPlane(): Promise<DataPlane> {
  const plans = new Map<number, string>();
  let last = 0;
  const plane: DataPlane = {
    ...{ statusPort: 0, apiPort: 0, pods: new Map(), versions: [], deployed: [], copies: false, refuses: null },
    ...{ token: null, connections: 0, leaders: new Map(), amend: (status: PartStatus) => status },
    finishCopy() {
      const [newest, ...others] = plane.versions;
      if (newest?.state !== 'processing') return;
      plane.versions = [{ ...newest, state: 'active' }, ...others.filter(({ state }) => state !== 'active')];
    },
    close: async () => {
      for (const server of [status, api]) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };

  const deploy = (text: string): void => {
    plane.deployed.push(text);
    const { plan } = compileSyncConfig(text, {
      defaultSource: 'default',
      sources: ['default'],
      defaultSchemas: { default: 'public' },
    });
    if (plan === null) throw new Error('an invalid sync config has reached the data plane');
    const json = JSON.stringify(plan);
    const [newest] = plane.versions;
    if (newest !== undefined && plans.get(newest.version) === json) return;
    const others = plane.versions.filter(({ state }) => state === 'active');
    const same = others.find(({ version }) => plans.get(version) === json);
    if (same !== undefined) {
      plane.versions = [same];
      return;
    }
    plans.set(++last, json);
    const tables = plan.tables.map((pattern) => ({ ...readTable(pattern), rows: 100 }));
    const version: SyncConfigPartStatus = {
      version: last,
      state: plane.copies ? 'processing' : 'active',
      revision: syncConfigRevision(text),
      ...{ label: null, createdAt: new Date().toISOString(), activatedAt: null, error: null, tables },
      streams: plan.streams.map(({ name }) => name),
      definitions: definitionReads(plan).map(({ kind, identity, name, source, streams }) => ({
        ...{ kind, identity, name, source, streams: [...streams], tables: [] },
      })),
    };
    plane.versions = plane.copies ? [version, ...others] : [version];
  };

  const answerDeploy = (text: string, request: IncomingMessage, response: ServerResponse): void => {
    const isAllowed = plane.token === null || request.headers.authorization === `Bearer ${plane.token}`;
    if (plane.refuses !== null || !isAllowed) {
      const error = plane.refuses ?? { code: 'PSYNC_S2101', description: 'wrong token' };
      response.writeHead(isAllowed ? 422 : 401).end(JSON.stringify({ error }));
      return;
    }
    deploy(text);
    response.writeHead(200).end(JSON.stringify({ data: { slot_name: '', warnings: [] } }));
  };

  const status = await listen((request, response) => {
    const pod = plane.pods.get(request.socket.localAddress ?? '');
    if (pod === undefined) return void response.writeHead(404).end();
    const body = plane.amend(statusOf(plane, pod), pod);
    if (!checked(body)) throw new Error(`the played status is none: ${JSON.stringify(checked.errors)}`);
    response.writeHead(200).end(JSON.stringify(body));
  });
  const api = await listen((request, response) => {
    let text = '';
    request.on('data', (piece) => (text += String(piece)));
    request.on('end', () => answerDeploy(text, request, response));
  });
  return Object.assign(plane, { statusPort: portOf(status), apiPort: portOf(api) });
}

function statusOf(plane: DataPlane, { name, component, source }: PlayedPod): PartStatus {
  const now = new Date().toISOString();
  const isApi = component === 'api';
  const lease = leaseOf(name);
  if (!isApi && !plane.leaders.has(lease)) plane.leaders.set(lease, name);
  const leads = plane.leaders.get(lease) === name;
  const hasActive = plane.versions.some(({ state }) => state === 'active');
  return {
    ...{ format: 1, role: isApi ? 'api' : 'sync', version: '0.1.0', instance: null, hostName: name },
    ...{ startedAt: now, observedAt: now, ready: true },
    api: isApi ? { connections: plane.connections, connectionLimit: 200, draining: false } : null,
    sources: isApi
      ? []
      : [
          {
            ...{ tag: source, leader: leads, state: hasActive ? 'Streaming' : 'Pending' },
            ...{ lagBytes: leads ? 0 : null, lagSeconds: leads ? 0 : null, lastCommitAt: null, snapshot: null },
            ...{ log: null, error: null, findings: [] },
          },
        ],
    storage: { reachable: true, error: null, observedAt: now },
    ...{ syncConfig: plane.versions, cut: [] },
  };
}

async function listen(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<Server> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
