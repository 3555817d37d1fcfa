/** Pods, and how a Deployment is rolled out, step by step. Part of simulated-cluster.ts. */
import { LABEL_SOURCE } from '../desired/labels.ts';
import type { LiveDeployment } from '../observed.ts';

type Template = Required<LiveDeployment['spec']>['template'] & { metadata: { labels: Record<string, string> } };

/** Something that may happen by itself; a call makes it happen. */
export type Happening = () => void;

export interface SimulatedPod {
  readonly name: string;
  /** Name of its Deployment. */
  readonly owner: string;
  readonly component: string;
  /** Tag of the source; empty for API workers. */
  readonly source: string;
  readonly template: Template;
  /** Of the template: pods of equal templates are of one revision. */
  readonly revision: string;
  isReady: boolean;
  /** It has an address and answers. */
  answers: boolean;
}

export interface SimulatedPods {
  all(): readonly SimulatedPod[];
  of(owner: string): readonly SimulatedPod[];
  /** The next step of a roll-out: the controller sees what is desired and makes pods, then they become ready, and then the old ones go. */
  rollOut(live: LiveDeployment): readonly Happening[];
  /** Pods that are about to get an address and to answer. */
  begin(): readonly Happening[];
  /** The Deployment is gone. */
  removeOf(owner: string): void;
}

/** @param nextNumber never gives the same twice */
export function simulatePods(nextNumber: () => number): SimulatedPods {
  let pods: SimulatedPod[] = [];

  const of = (owner: string): readonly SimulatedPod[] => pods.filter((pod) => pod.owner === owner);

  const start = (owner: string, template: Template, revision: string): void => {
    const { labels } = template.metadata;
    pods.push({
      ...{ name: `${owner}-${nextNumber()}`, owner, template, revision, isReady: false, answers: false },
      ...{ component: labels['app.kubernetes.io/component'] ?? '', source: labels[LABEL_SOURCE] ?? '' },
    });
  };

  const rollOut = (live: LiveDeployment): readonly Happening[] => {
    const { name = '', generation } = live.metadata;
    const { replicas = 1, template } = live.spec;
    const revision = JSON.stringify(template);
    const own = of(name);
    const current = own.filter((pod) => pod.revision === revision);
    const reporting = (step: Happening): Happening[] => [
      () => {
        step();
        report(live, of(name), revision);
      },
    ];
    if (live.status?.observedGeneration !== generation || current.length < replicas)
      return reporting(() => {
        for (let more = current.length; more < replicas; more++) start(name, template as Template, revision);
      });
    const waiting = current.find(({ isReady }) => !isReady);
    if (waiting !== undefined) return reporting(() => void (waiting.isReady = true));
    const surplus = [...own.filter((pod) => pod.revision !== revision), ...current.slice(replicas)];
    if (surplus.length === 0) return [];
    return reporting(() => void (pods = pods.filter((pod) => !surplus.includes(pod))));
  };

  return {
    all: () => pods,
    of,
    rollOut,
    begin: () => pods.filter(({ answers }) => !answers).map((pod) => () => void (pod.answers = true)),
    removeOf: (owner) => void (pods = pods.filter((pod) => pod.owner !== owner)),
  };
}

/** What the controller says of the Deployment. */
function report(live: LiveDeployment, pods: readonly SimulatedPod[], revision: string): void {
  const ready = pods.filter(({ isReady }) => isReady).length;
  const status = {
    ...{ observedGeneration: live.metadata.generation, replicas: pods.length },
    updatedReplicas: pods.filter((pod) => pod.revision === revision).length,
    ...{ readyReplicas: ready, availableReplicas: ready },
  };
  Object.assign(live, { status });
}
