/** Tables that are joined without anything that says which rows belong together. */
import type { FromItem } from '../sql/ast.ts';
import { boundKey, worldOf, type BoundExpr, type PrimarySource, type Source } from './bound.ts';
import type { Condition } from './condition.ts';
import type { QueryContext } from './context.ts';

/** A query whose sources are known: for each item of FROM what it is called, and which tables and arrays it reads. */
interface JoinedQuery {
  readonly items: readonly FromItem[];
  readonly visible: readonly Source[];
  readonly read: readonly (readonly PrimarySource[])[];
  readonly condition: Condition;
}

/**
 * Warns with PSYNC_R2108 about `JOIN u` without ON where no equality of the query connects u with the other tables, be it through further
 * tables, arrays, or a value of the session that both are compared with. A table behind a comma, or with an ON of any kind, is meant so.
 */
export function warnUnconnectedJoins({ items, visible, read, condition }: JoinedQuery, context: QueryContext): void {
  if (!items.some(isBareJoin)) return;
  const groups = createGroups();
  for (const sources of read) groups.join(sources.map(nodeOf));
  connect(condition, groups);
  for (const source of read.flat()) if (source.kind === 'each') connectEach(source, groups);
  for (const [at, item] of items.entries()) {
    if (!isBareJoin(item)) continue;
    const own = read[at]?.[0];
    const other = items.findIndex((_, index) => index !== at && read[index]?.some(({ kind }) => kind === 'table'));
    const others = read.filter((_, index) => index !== at).flat();
    if (own === undefined || other < 0) continue;
    if (others.some((source) => groups.together(nodeOf(own), nodeOf(source)))) continue;
    const [name, otherName] = [visible[at]?.visible ?? '', visible[other]?.visible ?? ''];
    const message = `Every row of ${name} counts for every row of ${otherName}; add ON with what connects them.`;
    context.report('warning', 'PSYNC_R2108', message, item);
  }
}

const isBareJoin = (item: FromItem): boolean => item.joined && item.on === null && item.kind !== 'function';

interface Groups {
  join(nodes: readonly string[]): void;
  together(a: string, b: string): boolean;
}

function createGroups(): Groups {
  const parent = new Map<string, string>();
  const root = (node: string): string => {
    let at = node;
    for (let up = parent.get(at); up !== undefined; up = parent.get(at)) at = up;
    return at;
  };
  return {
    join: ([first, ...others]) => {
      for (const other of others) {
        const [a, b] = [root(first ?? other), root(other)];
        if (a !== b) parent.set(b, a);
      }
    },
    together: (a, b) => root(a) === root(b),
  };
}

const nodeOf = ({ id }: PrimarySource): string => `source ${id}`;

/** Each equality, wherever it stands in the condition. */
function connect(condition: Condition, groups: Groups): void {
  if (condition.kind === 'leaf') {
    if (condition.leaf.kind === 'match') groups.join([condition.leaf.left, condition.leaf.right].map(nodeOfValue));
  } else if (condition.kind === 'sources') {
    for (const source of condition.sources) if (source.kind === 'each') connectEach(source, groups);
  } else {
    for (const child of condition.children) connect(child, groups);
  }
}

/** Elements belong to the rows whose array they are in, or to a value of the session. */
function connectEach(each: PrimarySource & { kind: 'each' }, groups: Groups): void {
  groups.join([nodeOf(each), each.owner === null ? boundKey(each.value) : nodeOf(each.owner)]);
}

function nodeOfValue(value: BoundExpr): string {
  const world = worldOf(value);
  if (world.kind === 'row') return nodeOf(world.table);
  return world.kind === 'each' ? nodeOf(world.each) : boundKey(value);
}
