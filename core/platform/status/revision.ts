import { createHash } from 'node:crypto';

/** Names the text of a sync config, in status, events and approvals: the first 16 hex digits of its SHA-256. */
export function syncConfigRevision(content: string): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 16);
}
