/** A TCP load balancer in a few lines, as a Service of Kubernetes is one: new connections go round the ready targets, open ones stay. */
import { startTcpProxy } from './tcp-proxy.ts';

export interface LoadBalancer {
  readonly endpoint: string;
  /** Ports that get new connections. */
  setTargets(ports: readonly number[]): void;
  close(): Promise<void>;
}

export async function startLoadBalancer(): Promise<LoadBalancer> {
  let targets: readonly number[] = [];
  let next = 0;
  const { url, close } = await startTcpProxy({ target: () => targets[next++ % targets.length] });
  return { endpoint: url, setTargets: (ports) => void (targets = ports), close };
}
