import type { Condition, ConditionType } from '#crds/sync-instance/status.ts';
import type { Verdict } from './reasons.ts';

/** The CRD allows 32,768; events and terminals less. */
const LONGEST_MESSAGE = 2000;

/**
 * The only way a condition comes to be (Kubernetes API conventions: typical status properties). `lastTransitionTime` moves when the status changes
 * and only then; `observedGeneration` says which spec the verdict is about. Conditions of others are kept; the order never changes by itself.
 */
export function withConditions(
  present: readonly Condition[],
  verdicts: Readonly<Partial<Record<ConditionType, Verdict>>>,
  { generation, now }: { readonly generation: number; readonly now: number },
): Condition[] {
  const next = Object.entries(verdicts).map(([type, { status, reason, message }]): Condition => {
    const before = present.find((condition) => condition.type === type);
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : secondsOf(now);
    const cut = message.length > LONGEST_MESSAGE ? `${message.slice(0, LONGEST_MESSAGE - 1)}…` : message;
    return { type, status, observedGeneration: generation, lastTransitionTime, reason, message: cut };
  });
  const types = new Set(next.map(({ type }) => type));
  return [...next, ...present.filter(({ type }) => !types.has(type))];
}

export function conditionOf(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** RFC 3339 without fractions, as metav1.Time. */
export function secondsOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
