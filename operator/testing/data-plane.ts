/**
 * The data plane of instances as the operator meets it over HTTP: `/status` of every pod, and the route to deploy a sync config. Pods are told apart by
 * their addresses, 127.x.y.z, which all lead here.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PartStatusSchema, type PartStatus, type SyncConfigPartStatus } from '#core/platform/status/contract.ts';
import { compileSyncConfig } from '#core/sync-config/compile.ts';
import { Ajv } from 'ajv';
import { partStatus, sourcePart, versionOfPlan } from '../sync-instance/testing/played-pods.ts';

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
  const plans: Plans = new Map();
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

  const answerDeploy = (text: string, request: IncomingMessage, response: ServerResponse): void => {
    const isAllowed = plane.token === null || request.headers.authorization === `Bearer ${plane.token}`;
    if (plane.refuses !== null || !isAllowed) {
      const error = plane.refuses ?? { code: 'PSYNC_S2101', description: 'wrong token' };
      response.writeHead(isAllowed ? 422 : 401).end(JSON.stringify({ error }));
      return;
    }
    deploy(plane, plans, text);
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

/** Of each version, as JSON: a text with the same plan makes no new one (O-128). */
type Plans = Map<number, string>;

function deploy(plane: DataPlane, plans: Plans, text: string): void {
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
  const number = plans.size + 1;
  plans.set(number, json);
  const state = plane.copies ? 'processing' : 'active';
  const version = versionOfPlan(plan, text, { version: number, state, createdAt: new Date().toISOString() });
  plane.versions = plane.copies ? [version, ...others] : [version];
}

function statusOf(plane: DataPlane, { name, component, source }: PlayedPod): PartStatus {
  const now = new Date().toISOString();
  const common = {
    ...{ hostName: name, startedAt: now, observedAt: now, syncConfig: plane.versions },
    storage: { reachable: true, error: null, observedAt: now },
  };
  if (component === 'api') {
    const api = { connections: plane.connections, connectionLimit: 200, draining: false };
    return partStatus({ ...common, role: 'api', api });
  }
  const lease = leaseOf(name);
  if (!plane.leaders.has(lease)) plane.leaders.set(lease, name);
  const leader = plane.leaders.get(lease) === name;
  const lag = leader ? 0 : null;
  const hasActive = plane.versions.some(({ state }) => state === 'active');
  const state = hasActive ? 'Streaming' : 'Pending';
  const sources = [sourcePart({ tag: source, leader, state, lagBytes: lag, lagSeconds: lag })];
  return partStatus({ ...common, role: 'sync', sources });
}

async function listen(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<Server> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
