import { createHash } from 'node:crypto';

/** Longest name that is also a DNS label and a label value: what Services, and pods as host names, allow (RFC 1123). */
const LONGEST_NAME = 63;
/** Kubernetes adds the time to the names of a CronJob's Jobs: eleven characters. */
const LONGEST_CRON_JOB_NAME = 52;
const HASH_LENGTH = 8;

/**
 * Words that end other names or stand before a source's. A source whose name holds one could give an object the name of
 * another instance's: source `api` of `demo`, and the API workers of `demo-replicator`.
 */
const WORDS_OF_NAMES = /(?:^|-)(?:api|replicator)(?:-|$)/;

/** The first hexadecimal digits of SHA-256. For names and change detection, not against an attacker. */
export function shortHash(text: string, length: number = HASH_LENGTH): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}

/**
 * `text`, or, when it is too long, its beginning with a hash of all of it. Equal texts give equal names on every version
 * of the operator: names must not move, or objects would be made anew.
 */
export function shortened(text: string, longest: number = LONGEST_NAME): string {
  return text.length <= longest ? text : withHash(text, shortHash(text), longest);
}

function withHash(text: string, hash: string, longest: number): string {
  const beginning = text.slice(0, longest - hash.length - 1).replace(/[^a-z0-9]+$/, '');
  return `${beginning}-${hash}`;
}

/**
 * Names of the objects of one instance. Each is a DNS label, and no two instances of a namespace share one within a kind.
 */
export const names = {
  serviceAccount: (instance: string): string => shortened(instance),
  /** Deployment, Service, PodDisruptionBudget, NetworkPolicy, Ingress, HTTPRoute of the API workers. */
  api: (instance: string): string => shortened(`${instance}-api`),
  /** Deployment and PodDisruptionBudget of the processes that replicate one source. */
  replicator(instance: string, source: string): string {
    const name = `${instance}-replicator-${source}`;
    return WORDS_OF_NAMES.test(source)
      ? withHash(name, shortHash(`${instance}/${source}`), LONGEST_NAME)
      : shortened(name);
  },
  compaction: (instance: string): string => shortened(`${instance}-compact`, LONGEST_CRON_JOB_NAME),
  migration: (instance: string, hash: string): string => withHash(`${instance}-migrate`, hash, LONGEST_NAME),
  teardown: (instance: string): string => shortened(`${instance}-teardown`),
  config: (instance: string, hash: string): string => withHash(`${instance}-config`, hash, LONGEST_NAME),
  adminSecret: (instance: string): string => shortened(`${instance}-admin`),
  /** NetworkPolicy that closes all pods of the instance. */
  closedPolicy: (instance: string): string => shortened(`${instance}-closed`),
  /** NetworkPolicy that lets the operator and scrapers in. */
  metricsPolicy: (instance: string): string => shortened(`${instance}-metrics`),
  podMonitor: (instance: string): string => shortened(`${instance}-pods`),
} as const;
