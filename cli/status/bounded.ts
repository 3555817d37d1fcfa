import { STATUS_LIMITS } from '#core/platform/status/contract.ts';

/** Remembers which lists of a status were too long. */
export interface Bounds {
  /** Its first items, at most `limit`. */
  list<T>(items: readonly T[], limit: number, name: string): T[];
  /** Notes lists that were too long when they were cut earlier. */
  wereCut(names: readonly string[]): void;
  readonly cut: readonly string[];
}

export function createBounds(): Bounds {
  const cut: string[] = [];
  const wereCut = (names: readonly string[]): void => {
    for (const name of names) if (!cut.includes(name)) cut.push(name);
  };
  return {
    cut,
    wereCut,
    list(items, limit, name) {
      if (items.length > limit) wereCut([name]);
      return items.slice(0, limit);
    },
  };
}

const CODE = /^PSYNC_[A-Z]\d{4}$/;
/** What a library says may hold anything, row data too. */
const UNKNOWN = {
  code: 'PSYNC_S2001',
  message: 'An error without a code of ours came up; the log of this process has it.',
};

/** A problem as a status may tell it. */
export function problemOf({ code, message }: { readonly code: string; readonly message: string }): {
  code: string;
  message: string;
} {
  return CODE.test(code) && code !== UNKNOWN.code ? { code, message: messageText(message) } : { ...UNKNOWN };
}

export const messageText = (text: string): string => shortened(text, STATUS_LIMITS.message);
export const nameText = (text: string): string => shortened(text, STATUS_LIMITS.name);
export const timeText = (ms: number): string => new Date(ms).toISOString();

function shortened(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;
}
