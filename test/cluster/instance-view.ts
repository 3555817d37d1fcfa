/** Looking at the instance `demo` of a namespace, and waiting for what the operator says of it. */
import { until } from '../instance/instance.ts';
import type { Cluster } from './kubernetes.ts';

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
}
export interface InstanceObject {
  readonly metadata: { readonly generation: number; readonly resourceVersion: string; readonly uid: string };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly observedGeneration?: number;
    readonly sources?: readonly { readonly name: string; readonly state: string; readonly leader?: string }[];
    readonly syncConfig?: {
      readonly pending?: { readonly revision: string };
      readonly active?: { readonly revision: string; readonly version: number };
      readonly error?: {
        readonly code: string;
        readonly line: number;
        readonly column: number;
        readonly message: string;
      };
      readonly plan?: {
        readonly rowsToCopy: number;
        readonly streams: readonly { readonly name: string; readonly action: string; readonly rows?: number }[];
      };
    };
    readonly api?: { readonly readyReplicas?: number; readonly connections?: number };
    readonly image?: string;
  };
}

export interface InstanceView {
  instance(): Promise<InstanceObject | null>;
  /** Waits for a condition; on timeout says what the instance and its pods look like. */
  untilCondition(type: string, status: string, timeoutMs?: number): Promise<Condition>;
  untilInstance(
    what: string,
    matches: (object: InstanceObject) => boolean,
    timeoutMs?: number,
  ): Promise<InstanceObject>;
}

export function viewInstance(cluster: Cluster, namespace: string): InstanceView {
  const instance = (): Promise<InstanceObject | null> =>
    cluster.get<InstanceObject>(['syncinstance', 'demo', '-n', namespace]);
  const untilInstance: InstanceView['untilInstance'] = async (what, matches, timeoutMs = 120_000) => {
    let last: InstanceObject | null = null;
    const met = async (): Promise<boolean> => {
      last = await instance();
      return last !== null && matches(last);
    };
    try {
      await until(what, met, timeoutMs);
    } catch (error) {
      throw new Error(`${String(error)}\n${await describeAll(cluster, namespace, instance)}`, { cause: error });
    }
    return last!;
  };
  return {
    instance,
    untilInstance,
    async untilCondition(type, status, timeoutMs) {
      const object = await untilInstance(
        `${type}=${status}`,
        (candidate) => {
          const condition = conditionOf(candidate, type);
          return condition?.status === status && condition.observedGeneration === candidate.metadata.generation;
        },
        timeoutMs,
      );
      return conditionOf(object, type)!;
    },
  };
}

function conditionOf(object: InstanceObject, type: string): Condition | undefined {
  return object.status?.conditions?.find((condition) => condition.type === type);
}

async function describeAll(
  { kubectl }: Cluster,
  namespace: string,
  instance: InstanceView['instance'],
): Promise<string> {
  const [all, events, object] = await Promise.all([
    kubectl(['get', 'syncinstances,deployments,jobs,pods', '-n', namespace, '-o', 'wide']).catch(String),
    kubectl(['get', 'events', '-n', namespace, '--sort-by=.lastTimestamp']).catch(String),
    instance().catch(String),
  ]);
  const logs = await kubectl([
    ...['logs', '-n', namespace, '-l', 'app.kubernetes.io/name=millrace', '--tail=15', '--prefix'],
  ]).catch(String);
  const status = typeof object === 'string' ? object : JSON.stringify(object?.status, null, 1);
  return `${status}\n${all}\n${events.split('\n').slice(-30).join('\n')}\n${logs}`;
}
