/** Values of one command stay far below its limit of 16 MB. */
const MOST_PER_GROUP = 2000;
const MOST_BYTES = 3 * 1024 * 1024;

/** Parts of a list, in order, none too big for one command. */
export function inGroups<T>(items: readonly T[], sizeOf: (item: T) => number): T[][] {
  const groups: T[][] = [];
  let bytes = 0;
  for (const item of items) {
    const size = sizeOf(item);
    let group = groups.at(-1);
    if (group === undefined || group.length >= MOST_PER_GROUP || bytes + size > MOST_BYTES) {
      group = [];
      groups.push(group);
      bytes = 0;
    }
    group.push(item);
    bytes += size;
  }
  return groups;
}
