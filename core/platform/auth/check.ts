import type { CodedError } from '../errors/coded-error.ts';

/** What is looked at before a token is accepted, in this order. */
export const CHECK_NAMES = [
  'token',
  'form',
  'algorithm',
  'key',
  'key type',
  'signature',
  'subject',
  'audience',
  'issuer',
  'issued at',
  'expires',
  'lifetime',
  'not before',
  'revocation',
] as const;
export type CheckName = (typeof CHECK_NAMES)[number];

/** One thing that was looked at. */
export interface Check {
  readonly name: CheckName;
  /** What was found, for operators: names and claims, never the token or a secret. Clients get the refusal only. */
  readonly finding: string;
  /** Why the token is refused; null when it may pass as far as this goes. */
  readonly refusal: CodedError | null;
}

export function passed(name: CheckName, finding: string): Check {
  return { name, finding, refusal: null };
}

const LONGEST_SHOWN = 200;

/** A claim or a member of the header as text, cut where it is very long. */
export function shown(value: unknown): string {
  if (value === undefined) return 'absent';
  const text = JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? String(each) : each));
  return text.length <= LONGEST_SHOWN ? text : `${text.slice(0, LONGEST_SHOWN)}…`;
}
