import { createHmac } from 'node:crypto';
import type { ValueReference } from '../desired/contract.ts';
import { LONGEST_VALUE_BYTES } from '../desired/desired.ts';
import { valueSource, type Observed } from '../observed.ts';
import { fails, holds, REASONS, type Reason, type Verdict } from '../reasons.ts';

/** Problems named in a message; the others are counted. */
const MOST_NAMED = 5;

interface Problem {
  readonly reason: Reason;
  readonly text: string;
}

/** Are all values there that pods need before they can start? */
export function secretsVerdict(
  { values, instance }: Pick<Observed, 'values' | 'instance'>,
  references: readonly ValueReference[],
): Verdict {
  const problems = references.flatMap((reference) => problemOf(values, instance.metadata.namespace, reference) ?? []);
  const [first] = problems;
  if (first === undefined) return holds(REASONS.Resolved, 'All referenced values are there.');
  const named = [...new Set(problems.map(({ text }) => text))];
  const more = named.length > MOST_NAMED ? ` And ${named.length - MOST_NAMED} more.` : '';
  return fails(first.reason, named.slice(0, MOST_NAMED).join(' ') + more);
}

function problemOf(
  values: Observed['values'],
  namespace: string,
  { kind, name, key }: ValueReference,
): Problem | undefined {
  const keys = values.get(valueSource(kind, name)) ?? null;
  if (keys === null) {
    const reason = kind === 'Secret' ? REASONS.SecretNotFound : REASONS.ConfigMapNotFound;
    return { reason, text: `${kind} ${name} is missing in namespace ${namespace}: create it with the key ${key}.` };
  }
  const value = keys.get(key);
  if (value === undefined || value.bytes === 0) {
    const how = value === undefined ? 'has no key' : 'has nothing under the key';
    return { reason: REASONS.KeyNotFound, text: `${kind} ${name} ${how} ${key}: add it.` };
  }
  if (value.bytes <= LONGEST_VALUE_BYTES) return undefined;
  const text = `The value of the key ${key} of ${kind} ${name} is too long: it may have ${LONGEST_VALUE_BYTES} bytes.`;
  return { reason: REASONS.ValueTooLong, text };
}

/**
 * A hash that changes with the values. It stands where more people may read than Secrets, so it is keyed with the operator's token: nobody else can try
 * passwords against it.
 */
export function hashOfValues({
  values,
  adminToken,
}: Pick<Observed, 'values' | 'adminToken'>): (references: readonly ValueReference[]) => string {
  return (references) => {
    const facts = references.map(({ kind, name, key }) => {
      const value = values.get(valueSource(kind, name))?.get(key);
      return [kind, name, key, value?.digest ?? null];
    });
    return createHmac('sha256', adminToken.token).update(JSON.stringify(facts)).digest('hex').slice(0, 16);
  };
}
