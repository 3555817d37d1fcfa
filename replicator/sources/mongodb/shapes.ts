/**
 * Documents of a collection mostly have the same fields in the same order. A tree of the names seen so far turns that into speed: a
 * document's names are compared with those of the one before, not decoded, and all documents of one shape share their list of columns.
 */
import { cstringStop, corruptBson, valueEnd } from './bson-bytes.ts';

export interface Field {
  readonly name: string;
  /** The name as it stands in the document, with the zero behind it. */
  readonly bytes: Uint8Array;
  /** `"name":`, as JSON. */
  readonly key: Uint8Array;
}

export interface Shape {
  /** Names in order, each once. The same object for all documents of this shape. */
  readonly columns: readonly string[];
  readonly fields: readonly Field[];
}

export interface Shapes {
  /**
   * The shape of the document whose elements lie in `bytes[from…stop)`, after a look at the frame of each. Null when a name is there
   * twice, and for documents that are all different (names that are data).
   */
  of(bytes: Buffer, from: number, stop: number): Shape | null;
}

interface Node {
  readonly field: Field;
  readonly parent: Node | null;
  /** A name is there twice on the way here. */
  readonly repeats: boolean;
  readonly children: Node[];
  recent: Node | null;
  shape: Shape | null;
}

/** Different names after the same beginning; more look like data. */
const mostChildren = 64;
/** About 2 MB. When it is full the tree starts anew: what is frequent is soon there again. */
const mostNodes = 4_096;
/** Longer names are not remembered. */
const longestName = 256;

export function createShapes(): Shapes {
  const noField: Field = { name: '', bytes: new Uint8Array(0), key: new Uint8Array(0) };
  const newRoot = (): Node => createNode(noField, null, false);
  let root = newRoot();
  let nodes = 0;

  const child = (node: Node, bytes: Buffer, at: number, stop: number): Node | null => {
    for (const each of node.children) if (stands(each.field.bytes, bytes, at, stop)) return each;
    const end = cstringStop(bytes, at, stop);
    if (end - at > longestName || node.children.length >= mostChildren) return null;
    const name = bytes.toString('utf8', at, end);
    const key = Buffer.from(`${JSON.stringify(name)}:`);
    const field = { name, bytes: Uint8Array.prototype.slice.call(bytes, at, end + 1), key };
    const made = createNode(field, node, node.repeats || isOnTheWay(node, name));
    nodes += 1;
    node.children.push(made);
    return made;
  };

  return {
    of(bytes, from, stop) {
      if (nodes >= mostNodes) {
        root = newRoot();
        nodes = 0;
      }
      let node = root;
      let at = from;
      while (at < stop) {
        const type = bytes[at]!;
        at += 1;
        const { recent } = node;
        const next: Node | null =
          recent !== null && stands(recent.field.bytes, bytes, at, stop) ? recent : child(node, bytes, at, stop);
        if (next === null) return null;
        node.recent = next;
        node = next;
        at = valueEnd(bytes, type, at + node.field.bytes.length, stop);
      }
      if (at !== stop) throw corruptBson(at);
      return node.repeats ? null : (node.shape ??= shapeOf(node));
    },
  };
}

function createNode(field: Field, parent: Node | null, repeats: boolean): Node {
  return { field, parent, repeats, children: [], recent: null, shape: null };
}

/** Whether the name stands at `at`, its zero included. */
function stands(name: Uint8Array, bytes: Buffer, at: number, stop: number): boolean {
  const { length } = name;
  if (length > stop - at) return false;
  let index = 0;
  while (index < length && bytes[at + index] === name[index]) index += 1;
  return index === length;
}

function isOnTheWay(node: Node, name: string): boolean {
  for (let each: Node = node; each.parent !== null; each = each.parent) if (each.field.name === name) return true;
  return false;
}

function shapeOf(node: Node): Shape {
  const fields: Field[] = [];
  for (let each: Node = node; each.parent !== null; each = each.parent) fields.push(each.field);
  fields.reverse();
  return { columns: fields.map(({ name }) => name), fields };
}
