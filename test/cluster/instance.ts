/** What a SyncInstance on a cluster needs around it: databases, a namespace with the Secrets, tokens, and ways to wait for what the operator says. */
import { randomBytes } from 'node:crypto';
import { SignJWT } from 'jose';
import { stringify } from 'yaml';
import { startDatabases, type Databases } from './databases.ts';
import { viewInstance, type InstanceView } from './instance-view.ts';
import type { Cluster } from './kubernetes.ts';

export const AUDIENCE = 'cluster-test';

export interface Surroundings extends InstanceView, Omit<Databases, 'secrets'> {
  readonly namespace: string;
  /** Puts the present addresses and passwords into the Secrets. */
  writeSecrets(): Promise<void>;
  token(userId: string): Promise<string>;
  apply(object: object): Promise<void>;
  /** `http://…` of the API Service, from this machine. */
  endpoint(): Promise<string>;
}

export async function createSurroundings(cluster: Cluster, name: string): Promise<Surroundings> {
  const databases = await startDatabases(cluster.hostAddress);
  const namespace = `${name}-${randomBytes(3).toString('hex')}`;
  await cluster.kubectl(['create', 'namespace', namespace]);
  await cluster.kubectl(['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted']);
  const key = randomBytes(32);
  const jwks = { keys: [{ kty: 'oct', alg: 'HS256', kid: 'test', k: key.toString('base64url') }] };
  const apply: Surroundings['apply'] = async (object) =>
    void (await cluster.kubectl(['apply', '-n', namespace, '-f', '-'], stringify(object)));

  return {
    ...databases,
    ...viewInstance(cluster, namespace),
    namespace,
    apply,
    async writeSecrets() {
      const data = { ...databases.secrets(), keys: { 'jwks.json': JSON.stringify(jwks) } };
      for (const [part, stringData] of Object.entries(data))
        await apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: `demo-${part}` }, stringData });
    },
    token: (userId) =>
      new SignJWT({})
        .setProtectedHeader({ alg: 'HS256', kid: 'test' })
        .setSubject(userId)
        .setAudience(AUDIENCE)
        .setIssuedAt()
        .setExpirationTime('6h')
        .sign(key),
    async endpoint() {
      const service = await cluster.get<{ spec: { clusterIP: string; ports: { port: number; name: string }[] } }>([
        ...['service', 'demo-api', '-n', namespace],
      ]);
      return `http://${service!.spec.clusterIP}:${service!.spec.ports.find((port) => port.name === 'http')!.port}`;
    },
    async close() {
      await cluster
        .kubectl(['delete', 'syncinstance', '--all', '-n', namespace, '--timeout=90s'])
        .catch(() => undefined);
      await cluster.kubectl(['delete', 'namespace', namespace, '--wait=false']).catch(() => undefined);
      await databases.close();
    },
  };
}
