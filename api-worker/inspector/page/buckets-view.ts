/** The session's buckets: what the service announced beside what the client's database holds. */
import type { AnnouncedBucket, Checkpoint } from './checkpoint.ts';
import { bar, byId, chip, count, create, row, show, size } from './elements.ts';
import type { LocalBucket } from './local-database.ts';

/** More are not drawn; the filter finds them. */
const MAX_SHOWN = 300;

type Check = readonly [text: string, state: 'good' | 'busy' | 'bad', title: string];

/** Compared once everything announced is there; before, the sums cannot be equal. */
function checksumOf(checkpoint: Checkpoint | null, announced: AnnouncedBucket | undefined, local?: LocalBucket): Check {
  // The SDK keeps no record of a bucket that was always empty.
  const isThere = local ? local.lastOp === checkpoint?.opId : announced?.count === 0;
  if (!announced || !isThere || announced.priority > (checkpoint?.completePriority ?? -1))
    return ['downloading', 'busy', 'Compared when the checkpoint is complete for this priority'];
  const [there, here] = [announced.checksum >>> 0, local?.checksum ?? 0];
  const title = `service ${hex(there)}, here ${hex(here)}`;
  if (there !== here) return ['differs', 'bad', title];
  return local && !local.isApplied ? ['equal, not applied', 'busy', title] : ['equal', 'good', title];
}

const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;

export function showBuckets(checkpoint: Checkpoint | null, buckets: readonly LocalBucket[], filter: string): void {
  const local = new Map(buckets.map((bucket) => [bucket.name, bucket]));
  const names = [...(checkpoint?.buckets.keys() ?? local.keys())].filter((name) => name.includes(filter));
  const priorityOf = (name: string): number => checkpoint?.buckets.get(name)?.priority ?? 3;
  names.sort((a, b) => priorityOf(a) - priorityOf(b) || (a < b ? -1 : 1));
  show(
    byId('buckets'),
    names.slice(0, MAX_SHOWN).map((name) => {
      const here = local.get(name);
      const announced = checkpoint?.buckets.get(name);
      const total = announced?.count ?? here?.operations ?? 0;
      const done = Math.min(here?.operations ?? 0, total);
      const check = checksumOf(checkpoint, announced, here);
      return {
        key: name,
        content: JSON.stringify([announced, here, check]),
        build: () =>
          row(
            create('code', {}, name),
            announced?.priority ?? '–',
            total,
            bar(done, total, `Download of ${name}`),
            here?.rows ?? 0,
            create('span', { class: 'number' }, size(here?.dataBytes ?? 0)),
            create('span', { class: 'number' }, size(here?.downloadedBytes ?? 0)),
            create('span', { class: 'number' }, here?.lastOp ?? '–'),
            chip(...check),
          ),
      };
    }),
  );
  byId('buckets-note').textContent =
    names.length > MAX_SHOWN ? `The first ${MAX_SHOWN} of ${count(names.length)}: filter for others` : '';
}
