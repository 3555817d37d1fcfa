/** Reads the parts of a test file as what they should be, and reports where they are not. */
import { isScalar, isSeq, type Document, type Node } from 'yaml';
import { didYouMean } from '#core/platform/config/problems.ts';
import type { Diagnostics } from '#core/sync-config/compile/diagnostics.ts';
import { createNodeReader, type Entry, type NodeReader } from '#core/sync-config/yaml/node-reader.ts';
import type { Key } from '#core/sync-config/yaml/structure.ts';
import type { Place } from './contract.ts';
import { createValueReader, MERGE_KEY, MERGE_MESSAGE, ValueError, type ValueReader } from './read-values.ts';

export interface FileReader extends Pick<NodeReader, 'entries' | 'boolean' | 'text' | 'query' | 'error' | 'warning'> {
  readonly values: ValueReader;
  /** Items of a list; null after reporting when it is none. */
  list(node: Node | null, what: string, at: Key): (Node | null)[] | null;
  /** A whole number from `least` on; null after reporting. */
  whole(entry: Entry, least: number): number | null;
  /** What `read` answers; null after reporting what it throws. */
  attempt<T>(read: () => T, at: Key): T | null;
  unknownKey(entry: Entry, where: string, known: readonly string[]): void;
  place(node: Node | null, at: Key): Place;
}

export function createFileReader(document: Document, text: string, diagnostics: Diagnostics): FileReader {
  const nodes = createNodeReader(document, text, diagnostics);
  const { error, warning } = nodes;
  const values = createValueReader(document);
  const wrongType = (message: string, node: Node | null, at: Key | null): null => {
    error('PSYNC_R1201', message, node?.range ? node : at);
    return null;
  };
  const attempt = <T>(read: () => T, at: Key | null): T | null => {
    try {
      return read();
    } catch (failure) {
      if (!(failure instanceof ValueError)) throw failure;
      return wrongType(failure.message, failure.node, at);
    }
  };
  /** The entry with what its alias stands for. */
  const followed = ({ key, value }: Entry): Entry => ({ key, value: values.follow(value) });
  return {
    error,
    warning,
    values,
    attempt,
    boolean: (entry) => attempt(() => nodes.boolean(followed(entry)), entry.key),
    text: (entry) => attempt(() => nodes.text(followed(entry)), entry.key),
    query: (node, what, at) => attempt(() => nodes.query(values.follow(node), what, at), at),
    entries: (node, what, at) =>
      attempt(() => {
        const found = nodes.entries(values.follow(node), what, at);
        for (const { key } of found ?? []) if (key.text === MERGE_KEY) error('PSYNC_R1201', MERGE_MESSAGE, key);
        return found;
      }, at),
    list: (node, what, at) =>
      attempt(() => {
        const target = values.follow(node);
        if (isSeq(target)) return target.items as (Node | null)[];
        return wrongType(`${what} must be a list.`, node, at);
      }, at),
    whole: (entry, least) =>
      attempt(() => {
        const target = values.follow(entry.value);
        const value = isScalar(target) && typeof target.value === 'bigint' ? Number(target.value) : Number.NaN;
        if (Number.isSafeInteger(value) && value >= least) return value;
        return wrongType(`"${entry.key.text}" must be a whole number from ${least} on.`, entry.value, entry.key);
      }, entry.key),
    unknownKey: (entry, where, known) => {
      const meant = didYouMean(entry.key.text, known);
      const help = meant === null ? `known are ${known.join(', ')}.` : `did you mean "${meant}"?`;
      error('PSYNC_R1202', `Unknown key "${entry.key.text}" in ${where}; ${help}`, entry.key);
    },
    place: (node, at) => {
      const range = node?.range;
      return range ? { start: range[0], end: range[1] } : { start: at.start, end: at.end };
    },
  };
}
