/** A cursor that cannot be used any more: what is known of it, for whoever decides how to go on. */
import { isCodedError } from '#core/platform/errors/coded-error.ts';
import type { OpenResult, Position, Source } from './sources/contract.ts';

export type Lost = Extract<OpenResult, { kind: 'lost' }>;

/** The cursor is gone or unusable. */
export class CursorLost extends Error {
  readonly code: string;
  readonly why: Lost['why'];
  /** No client has seen anything of this stream. */
  readonly firstCopy: boolean;
  /** Something was flushed that only the next take-over undoes. */
  readonly unpublished: boolean;
  constructor(lost: Lost, firstCopy: boolean, unpublished: boolean) {
    super(lost.reason);
    this.code = lost.code;
    this.why = lost.why;
    this.firstCopy = firstCopy;
    this.unpublished = unpublished;
  }
}

/** Codes with which a running stream says that its cursor is of no use any more. */
const CURSOR_LOST: ReadonlySet<string> = new Set(['PSYNC_S1146']);

/** What a stream's error says of its cursor; null when it is about something else. */
export async function lostCursor(
  error: unknown,
  source: Source,
  cursor: string,
  position: Position | null,
): Promise<Lost | null> {
  if (!isCodedError(error) || !CURSOR_LOST.has(error.code)) return null;
  const found = await source.cursorState(cursor, position);
  if (found.kind === 'lost') return found;
  // Before Postgres 13 only the attempt to stream tells.
  return { kind: 'lost', code: error.code, reason: error.description, why: 'invalidated' };
}

/** What stands in the log and in diagnostics while a first copy waits for an operator. */
export function blockedMessage(reason: string): string {
  return `${reason} It was lost during the first copy, which does not begin again by itself: remove the cause, then drop the slot, deploy the sync config again, or reprocess.`;
}
