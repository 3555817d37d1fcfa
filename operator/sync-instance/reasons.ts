/** Reasons of conditions and events. They are API: people and alerts match on them, so they are never renamed. */
export const REASONS = {
  // SecretsResolved
  Resolved: 'Resolved',
  SecretNotFound: 'SecretNotFound',
  KeyNotFound: 'KeyNotFound',
  ValueTooLong: 'ValueTooLong',
  // SyncConfigValid
  Valid: 'Valid',
  Invalid: 'Invalid',
  ConfigMapNotFound: 'ConfigMapNotFound',
  // SyncConfigDeployed
  Active: 'Active',
  Deploying: 'Deploying',
  Copying: 'Copying',
  WaitingForApproval: 'WaitingForApproval',
  WaitingForApiWorker: 'WaitingForApiWorker',
  DeployFailed: 'DeployFailed',
  CopyFailed: 'CopyFailed',
  NotValid: 'NotValid',
  // StorageReady
  Ready: 'Ready',
  Migrating: 'Migrating',
  MigrationFailed: 'MigrationFailed',
  Unreachable: 'Unreachable',
  WaitingForSecrets: 'WaitingForSecrets',
  // SourcesReady
  Streaming: 'Streaming',
  NoLeader: 'NoLeader',
  CatchingUp: 'CatchingUp',
  SourceFailed: 'SourceFailed',
  NoSyncConfig: 'NoSyncConfig',
  // ApiAvailable
  Available: 'Available',
  NoReadyWorkers: 'NoReadyWorkers',
  ScaledToZero: 'ScaledToZero',
  // SourceLogSafe
  Safe: 'Safe',
  NoLimit: 'NoLimit',
  NearLimit: 'NearLimit',
  Lost: 'Lost',
  // Progressing
  Complete: 'Complete',
  RollingOut: 'RollingOut',
  Blocked: 'Blocked',
  Paused: 'Paused',
  NameTaken: 'NameTaken',
  KindNotServed: 'KindNotServed',
  Deleting: 'Deleting',
  // Ready
  Serving: 'Serving',
  NotServing: 'NotServing',
  // all
  NotKnown: 'NotKnown',
  // events
  LeaderChanged: 'LeaderChanged',
  TeardownStarted: 'TeardownStarted',
  TeardownSucceeded: 'TeardownSucceeded',
  TeardownFailed: 'TeardownFailed',
  TeardownSkipped: 'TeardownSkipped',
  TeardownTimedOut: 'TeardownTimedOut',
  ScaledUp: 'ScaledUp',
  ScaledDown: 'ScaledDown',
} as const;

export type Reason = (typeof REASONS)[keyof typeof REASONS];

/** One fact about an instance, with why. Becomes a condition. */
export interface Verdict {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: Reason;
  /** A sentence for people: what is so and, when something is wrong, what to do. */
  readonly message: string;
}

export const holds = (reason: Reason, message: string): Verdict => ({ status: 'True', reason, message });
export const fails = (reason: Reason, message: string): Verdict => ({ status: 'False', reason, message });
export const unknown = (message: string): Verdict => ({ status: 'Unknown', reason: REASONS.NotKnown, message });
