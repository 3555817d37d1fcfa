import { shortened } from './names.ts';

/** What a pod of an instance does; the value of `app.kubernetes.io/component`. */
export type Component = 'api' | 'replicator' | 'compactor' | 'migration' | 'teardown';

/** Field manager of every server-side apply, and value of `app.kubernetes.io/managed-by`. */
export const MANAGER = 'millrace-operator';

export const LABEL_INSTANCE = 'millrace.dev/instance';
export const LABEL_SOURCE = 'millrace.dev/source';

export type Labels = Readonly<Record<string, string>>;

/** On every object of an instance: what is owned, and pruned, is found by them. Longer names are cut as object names are. */
export function instanceLabels(instance: string): Labels {
  return {
    'app.kubernetes.io/name': 'millrace',
    'app.kubernetes.io/instance': shortened(instance),
    'app.kubernetes.io/part-of': shortened(instance),
    'app.kubernetes.io/managed-by': MANAGER,
    [LABEL_INSTANCE]: shortened(instance),
  };
}

/** On the objects and pods of one component. */
export function componentLabels(instance: string, component: Component, source?: string): Labels {
  return {
    ...instanceLabels(instance),
    'app.kubernetes.io/component': component,
    ...(source === undefined ? {} : { [LABEL_SOURCE]: shortened(source) }),
  };
}

/**
 * What selects the pods of one component. Selectors of Deployments cannot change, so nothing else may ever stand here.
 */
export function selectorOf(instance: string, component: Component, source?: string): Labels {
  const all = componentLabels(instance, component, source);
  const names = ['app.kubernetes.io/name', 'app.kubernetes.io/instance', 'app.kubernetes.io/component', LABEL_SOURCE];
  return Object.fromEntries(names.flatMap((name) => (all[name] === undefined ? [] : [[name, all[name]]])));
}

/** Labels as a selector in a query. */
export function selectorText(labels: Labels): string {
  return Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .join(',');
}

/** All pods of the instance. */
export function instanceSelector(instance: string): Labels {
  return { [LABEL_INSTANCE]: shortened(instance) };
}
