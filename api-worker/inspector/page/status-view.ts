/** Connection, checkpoint, priorities and streams. */
import { bar, byId, chip, count, create, row, show, size, time } from './elements.ts';
import { streamKey, type LocalBucket, type LocalTable } from './local-database.ts';
import type { Session } from './session.ts';

/** The SDK's number for "all of them". */
const COMPLETE = 2_147_483_647;

export type ConnectionState = 'idle' | 'connecting' | 'connected' | 'refused';

export function stateOf(session: Session): ConnectionState {
  return session.status.connected ? 'connected' : 'connecting';
}

export function showStatus(state: ConnectionState, text: string): void {
  const status = byId('status');
  status.dataset['state'] = state;
  if (status.textContent !== text) status.textContent = text;
}

export function statusText({ status }: Session): string {
  if (!status.connected) return status.downloadError ? 'connecting again …' : 'connecting …';
  const progress = status.downloadProgress;
  return progress ? `connected · downloading ${Math.floor(progress.downloadedFraction * 100)} %` : 'connected';
}

export function showOverview(
  { status, checkpoint, traffic }: Session,
  buckets: readonly LocalBucket[],
  tables: readonly LocalTable[],
): void {
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const facts: (readonly [id: string, name: string, value: string, more: string])[] = [
    [
      'checkpoint',
      'Checkpoint',
      checkpoint?.opId ?? '–',
      checkpoint ? (checkpoint.isComplete ? 'complete' : 'on its way') : '',
    ],
    ['write-checkpoint', 'Write checkpoint', checkpoint?.writeCheckpoint ?? 'none', ''],
    ['last-synced', 'Last synced', status.lastSyncedAt ? time(status.lastSyncedAt) : 'not yet', ''],
    ['bucket-count', 'Buckets', count(checkpoint?.buckets.size ?? buckets.length), ''],
    [
      'row-count',
      'Rows',
      count(sum(tables.map(({ rows }) => rows))),
      `in ${tables.length} table${tables.length === 1 ? '' : 's'}`,
    ],
    ['data-size', 'Data', size(sum(tables.map(({ dataBytes }) => dataBytes))), ''],
    ['received', 'Received', size(traffic.bytes), `${count(traffic.lines)} lines`],
    ['token-end', 'Token ends', traffic.tokenEndsAt === null ? '–' : time(new Date(traffic.tokenEndsAt)), ''],
  ];
  show(
    byId('overview'),
    facts.map(([id, name, value, more]) => ({
      key: id,
      content: `${value} ${more}`,
      build: () =>
        create('div', { 'data-fact': id }, create('dt', {}, name), create('dd', {}, value), create('small', {}, more)),
    })),
  );
}

export function showPriorities({ status, checkpoint }: Session, buckets: readonly LocalBucket[]): void {
  const local = new Map(buckets.map(({ name, operations }) => [name, operations]));
  const groups = new Map<number, { buckets: number; done: number; total: number }>();
  for (const { bucket, priority, count: total } of checkpoint?.buckets.values() ?? []) {
    const group = groups.get(priority) ?? { buckets: 0, done: 0, total: 0 };
    group.buckets++;
    group.done += Math.min(local.get(bucket) ?? 0, total);
    group.total += total;
    groups.set(priority, group);
  }
  show(
    byId('priorities'),
    [...groups]
      .toSorted(([a], [b]) => a - b)
      .map(([priority, { buckets: number, done, total }]) => {
        const synced = status.statusForPriority(priority)?.lastSyncedAt;
        const when = synced ? time(synced) : 'not yet';
        return {
          key: String(priority),
          content: JSON.stringify([number, done, total, when]),
          build: () =>
            row(
              String(priority),
              `${count(number)} bucket${number === 1 ? '' : 's'}`,
              bar(done, total, `Download of priority ${priority}`),
              create('span', { class: 'number' }, `${count(done)} / ${count(total)}`),
              when,
            ),
        };
      }),
  );
}

export function showStreams({ status, checkpoint }: Session, times: ReadonlyMap<string, Date>): void {
  const streams = status.syncStreams ?? [];
  show(
    byId('streams'),
    streams.map(({ subscription, priority, progress }) => {
      const { name, parameters, isDefault, hasExplicitSubscription, active, hasSynced } = subscription;
      const how = [isDefault ? 'by default' : '', hasExplicitSubscription ? 'by this page' : '']
        .filter(Boolean)
        .join(', ');
      const isBusy = active && progress !== null && progress.downloadedOperations < progress.totalOperations;
      const state = isBusy ? 'downloading' : active ? (hasSynced ? 'synced' : 'waiting') : 'not active';
      const shownParameters = parameters === null ? '' : JSON.stringify(parameters);
      const syncedAt = times.get(streamKey(name, parameters));
      const when = syncedAt ? time(syncedAt) : '';
      return {
        key: streamKey(name, parameters),
        content: JSON.stringify([how, priority, state, when]),
        build: () =>
          row(
            create('code', {}, name),
            create('code', {}, shownParameters),
            how,
            priority === null || priority === COMPLETE ? create('span', { class: 'number' }, '–') : priority,
            chip(state, state === 'synced' ? 'good' : active ? 'busy' : 'plain'),
            when,
          ),
      };
    }),
  );
  show(
    byId('stream-problems'),
    (checkpoint?.problems ?? []).map((text) => ({ key: text, content: text, build: () => create('li', {}, text) })),
  );
}
