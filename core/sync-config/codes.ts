import type { ErrorCode } from '#core/platform/errors/registry.ts';

/** Codes of findings in a sync config (S-653…S-659); the registry says what they mean. */
export type SyncConfigCode = Extract<ErrorCode, `PSYNC_R${string}`>;
