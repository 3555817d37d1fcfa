/**
 * Pages for the sessions that come after the one that read them, within a bound of bytes (G9). What falls out of it first are plain bytes: of
 * a page that went to clients with gzip its deflated lines stay, which take a fourth and less, and spare the next such client both the read
 * and the compressor.
 */
import type { LineEncoding } from '#core/protocol/lines.ts';
import { deflatedBytes } from '../deflate/lines.ts';
import type { HeldBucket } from '../feed/held-buckets.ts';
import { deflatedPage, hasMoreThan, placeName, variantOf, type Page } from './page.ts';

export interface PageCache {
  /** The page of the bucket that begins after `after`, with its plain bytes. */
  find(bucket: HeldBucket, after: number): Page | null;
  /** The same with deflated lines in the encoding, as far as a checkpoint goes in which the bucket's last operation is `upTo`. */
  findDeflated(bucket: HeldBucket, after: number, upTo: number, encoding: LineEncoding): Page | null;
  keep(bucket: HeldBucket, after: number, page: Page): void;
  /** So many bytes are attached to the page now. */
  grew(page: Page, bytes: number): void;
  clear(): void;
  readonly bytes: number;
}

interface Entry {
  readonly name: string;
  readonly page: Page;
  bytes: number;
  evicted: boolean;
}

/** What a page takes besides its bytes. */
const PAGE_OVERHEAD = 500;

/** `deflatedFrom`: the deflated lines of a page with so many bytes, or more, are worth a place of their own. */
export function createPageCache(bound: number, deflatedFrom: number): PageCache {
  const plain = createLeastRecentlyUsed();
  /** At most half of the bound, while there are plain pages for the rest. */
  const deflated = createLeastRecentlyUsed();
  const entries = new WeakMap<Page, Entry>();
  /** What was read of a bucket last: after a commit to a bucket that thousands hold, all of them read the same. */
  const latest = new WeakMap<HeldBucket, { readonly after: number; readonly entry: Entry }>();

  const evict = (): void => {
    while (plain.bytes + deflated.bytes > bound) {
      if (plain.bytes <= bound / 2 && deflated.dropOldest() !== null) continue;
      const dropped = plain.dropOldest() ?? deflated.dropOldest();
      if (dropped === null) return;
      const page = dropped.page.bytes < deflatedFrom ? null : deflatedPage(dropped.page);
      if (page !== null) deflated.put(dropped.name, page, PAGE_OVERHEAD + bytesOf(page));
    }
  };

  return {
    find(bucket, after) {
      const last = latest.get(bucket);
      const known = last !== undefined && last.after === after && !last.entry.evicted;
      const entry = known ? last.entry : plain.get(placeName(bucket, after));
      if (entry === undefined) return null;
      if (!known) latest.set(bucket, { after, entry });
      plain.use(entry);
      return entry.page;
    },
    findDeflated(bucket, after, upTo, encoding) {
      const entry = deflated.get(placeName(bucket, after));
      if (entry === undefined) return null;
      const { page } = entry;
      if (page.last!.lastOp > upTo || !page.lines.has(variantOf(encoding, hasMoreThan(page, upTo)))) return null;
      deflated.use(entry);
      return page;
    },
    keep(bucket, after, page) {
      entries.set(page, plain.put(placeName(bucket, after), page, PAGE_OVERHEAD + page.bytes));
      evict();
    },
    grew(page, bytes) {
      const entry = entries.get(page);
      if (entry === undefined || entry.evicted) return;
      plain.grow(entry, bytes);
      evict();
    },
    clear() {
      plain.clear();
      deflated.clear();
    },
    get bytes() {
      return plain.bytes + deflated.bytes;
    },
  };
}

function bytesOf(page: Page): number {
  let sum = 0;
  for (const lines of page.lines.values()) for (const line of lines) sum += deflatedBytes(line);
  return sum;
}

interface LeastRecentlyUsed {
  readonly bytes: number;
  get(name: string): Entry | undefined;
  /** It is the newest now. */
  use(entry: Entry): void;
  /** In place of what had the name. */
  put(name: string, page: Page, bytes: number): Entry;
  grow(entry: Entry, bytes: number): void;
  dropOldest(): Entry | null;
  clear(): void;
}

function createLeastRecentlyUsed(): LeastRecentlyUsed {
  /** In order of last use. */
  const entries = new Map<string, Entry>();
  /** The one at the end. */
  let newest: Entry | null = null;
  let bytes = 0;

  const drop = (entry: Entry): void => {
    entries.delete(entry.name);
    entry.evicted = true;
    bytes -= entry.bytes;
  };

  return {
    get bytes() {
      return bytes;
    },
    get: (name) => entries.get(name),
    use(entry) {
      if (entry === newest) return;
      entries.delete(entry.name);
      entries.set(entry.name, entry);
      newest = entry;
    },
    put(name, page, size) {
      const old = entries.get(name);
      if (old !== undefined) drop(old);
      const entry = { name, page, bytes: size, evicted: false };
      entries.set(name, entry);
      newest = entry;
      bytes += size;
      return entry;
    },
    grow(entry, by) {
      entry.bytes += by;
      bytes += by;
    },
    dropOldest() {
      for (const entry of entries.values()) {
        drop(entry);
        return entry;
      }
      return null;
    },
    clear() {
      for (const entry of entries.values()) entry.evicted = true;
      entries.clear();
      newest = null;
      bytes = 0;
    },
  };
}
