import { codedError, type CodedError } from '#core/platform/errors/coded-error.ts';

/** Bytes of the binlog that cannot be what they should be: the connection or the description of the table is at fault, not a row. */
export function damagedEvent(what: string): CodedError {
  return codedError(
    'PSYNC_S1120',
    `The MySQL binlog holds ${what}. It is read again; if that does not help, deploy the sync config again.`,
  );
}
