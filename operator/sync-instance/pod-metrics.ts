import type { KubeObject } from '../kube/contract.ts';

interface PodMetrics extends KubeObject {
  readonly containers?: readonly { readonly usage?: { readonly cpu?: string } }[];
}
interface PodWithRequests extends KubeObject {
  readonly spec?: {
    readonly containers?: readonly { readonly resources?: { readonly requests?: { readonly cpu?: string } } }[];
  };
}

/** By name of the pod: its CPU as a share of what it requests. Pods without measurement or request are left out. */
export function cpuShares(measured: readonly KubeObject[], pods: readonly KubeObject[]): Map<string, number> {
  const usage = new Map(
    (measured as readonly PodMetrics[]).map(({ metadata, containers }) => [
      metadata.name,
      sum((containers ?? []).map((container) => container.usage?.cpu)),
    ]),
  );
  const shares = (pods as readonly PodWithRequests[]).flatMap(({ metadata, spec }): [string, number][] => {
    const requested = sum((spec?.containers ?? []).map((container) => container.resources?.requests?.cpu));
    const used = usage.get(metadata.name);
    return used === undefined || requested === 0 ? [] : [[metadata.name ?? '', used / requested]];
  });
  return new Map(shares);
}

function sum(quantities: readonly (string | undefined)[]): number {
  return quantities.reduce((total, quantity) => total + (quantity === undefined ? 0 : cores(quantity)), 0);
}

const UNITS: Readonly<Record<string, number>> = { n: 1e-9, u: 1e-6, m: 1e-3, '': 1, k: 1e3 };

/** A Kubernetes quantity of CPU as cores; 0 when it cannot be read. */
function cores(quantity: string): number {
  const match = /^(\d+(?:\.\d+)?)([numk]?)$/.exec(quantity);
  return match === null ? 0 : Number(match[1]) * UNITS[match[2] ?? '']!;
}
