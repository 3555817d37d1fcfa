import type { SyncInstanceStatus } from '#crds/sync-instance/sync-instance.ts';
import type { EventNote } from '../kube/event-recorder.ts';
import { conditionOf } from './conditions.ts';
import { REASONS } from './reasons.ts';

/** Whose `True` is nothing to worry about, but whose `False` is neither. */
const NEUTRAL = new Set(['Progressing']);
/** They are false on the way of every new instance; only a fall from True, or one of these reasons, is worth a warning. */
const ALARMING = new Set<string>([
  ...[REASONS.SecretNotFound, REASONS.KeyNotFound, REASONS.ValueTooLong, REASONS.ConfigMapNotFound, REASONS.Invalid],
  ...[REASONS.DeployFailed, REASONS.CopyFailed, REASONS.MigrationFailed, REASONS.SourceFailed, REASONS.NameTaken],
  ...[REASONS.KindNotServed, REASONS.NearLimit, REASONS.Lost, REASONS.Unreachable],
]);

/** Somebody has to do something, although the type is neutral. */
const WARNED_OF = new Set<string>([REASONS.NameTaken, REASONS.KindNotServed, REASONS.MigrationFailed]);

/** What `kubectl describe` should tell of a change. Nothing for a state that goes on, however often it is looked at. */
export function transitionEvents(before: SyncInstanceStatus | undefined, after: SyncInstanceStatus): EventNote[] {
  const events: EventNote[] = [];
  for (const { type, status, reason, message } of after.conditions ?? []) {
    const previous = conditionOf(before?.conditions, type);
    if (previous?.status === status && previous.reason === reason) continue;
    if (status === 'Unknown' || (previous === undefined && status !== 'True' && !ALARMING.has(reason))) continue;
    const isBad = !NEUTRAL.has(type) && status === 'False' && (previous?.status === 'True' || ALARMING.has(reason));
    const isWarning = isBad || WARNED_OF.has(reason);
    events.push({ type: isWarning ? 'Warning' : 'Normal', reason, action: type, note: message });
  }
  for (const { name, leader } of after.sources ?? []) {
    const previous = before?.sources?.find((source) => source.name === name)?.leader;
    if (leader === undefined || leader === previous) continue;
    const note = `Pod ${leader} reads source ${name}${previous === undefined ? '' : `, in place of ${previous}`}.`;
    events.push({ type: 'Normal', reason: REASONS.LeaderChanged, action: 'Replicate', note });
  }
  const [from, to] = [before?.api?.desiredReplicas, after.api?.desiredReplicas];
  if (from !== undefined && to !== undefined && from !== to) {
    const note = `API workers: ${from} -> ${to}, for ${after.api?.connections ?? 0} clients.`;
    events.push({ type: 'Normal', reason: to > from ? REASONS.ScaledUp : REASONS.ScaledDown, action: 'Scale', note });
  }
  return events;
}
