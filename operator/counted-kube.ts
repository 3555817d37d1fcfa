import type { Kube, ResourceType } from './kube/contract.ts';
import { isKubeError } from './kube/kube-error.ts';
import { EVENTS, LEASES } from './kube/resource-types.ts';
import type { OperatorMetrics } from './metrics.ts';

type Counters = Pick<OperatorMetrics, 'millrace_operator_writes_total' | 'millrace_operator_kube_errors_total'>;

/**
 * The same, counting what is written and what fails. The Lease, which is renewed all the time, and Events are not among the writes: there are none in
 * steady state. What is no failure to its caller (not found, ended watches) is none here.
 */
export function countedKube(kube: Kube, metrics: Counters): Kube {
  const counted = async <T>(request: Promise<T>): Promise<T> => {
    try {
      return await request;
    } catch (error) {
      if (isKubeError(error)) metrics.millrace_operator_kube_errors_total.inc({ reason: error.failure });
      throw error;
    }
  };
  const write = <T>({ kind }: ResourceType, verb: string, request: Promise<T>): Promise<T> => {
    if (kind !== LEASES.kind && kind !== EVENTS.kind) metrics.millrace_operator_writes_total.inc({ kind, verb });
    return counted(request);
  };
  return {
    get: (type, place) => counted(kube.get(type, place)),
    list: (type, selection) => counted(kube.list(type, selection)),
    watch: (type, selection) => kube.watch(type, selection),
    create: (type, object) => write(type, 'create', kube.create(type, object)),
    replace: (type, object) => write(type, 'replace', kube.replace(type, object)),
    apply: (type, object, options) => write(type, 'apply', kube.apply(type, object, options)),
    patch: (type, place, patch) => write(type, 'patch', kube.patch(type, place, patch)),
    delete: (type, place, options) => write(type, 'delete', kube.delete(type, place, options)),
  };
}
