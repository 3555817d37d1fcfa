/**
 * What parts of the program need for logging: fields first, then a constant message. `createLogger` makes one.
 * Tokens, passwords, keys and row contents are never logged (O-195).
 */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** For commands that print what matters, and say nothing else. */
export const SILENT_LOG: Log = { debug() {}, info() {}, warn() {}, error() {} };
