import type { NodeSnapshot } from '../../sdk/cluster.ts';

type Read = (node: NodeSnapshot) => number;

/** Lists of one cluster that differ in length are of different questions. */
const lengthsKept = 4;

interface Table {
  /** Whose numbers the columns hold; nothing where it may change. */
  readonly nodes: (NodeSnapshot | undefined)[];
  readonly columns: readonly Float64Array[];
}

function refresh({ nodes: known, columns }: Table, nodes: readonly NodeSnapshot[], reads: Read[]) {
  for (let at = 0; at < nodes.length; at += 1) {
    const node = nodes[at] as NodeSnapshot;
    if (known[at] === node) continue;
    for (let each = 0; each < reads.length; each += 1) {
      (columns[each] as Float64Array)[at] = (reads[each] as Read)(node);
    }
    known[at] = Object.isFrozen(node) ? node : undefined;
  }
}

/**
 * Numbers of the nodes of large clusters as columns, kept from one question to the next: of frozen nodes that are still the
 * same objects none is read again, and nothing is copied.
 *
 * @param reads - one a column; each must depend on the node alone
 * @returns gives a column a reader, in the order of the nodes; they hold until the next call
 */
export function nodeColumns(
  ...reads: Read[]
): (nodes: readonly NodeSnapshot[]) => readonly Float64Array[] {
  /** By the capacity of the first node: the same object for as long as its cluster is not declared anew. */
  const tables = new WeakMap<object, Map<number, Table>>();

  return (nodes) => {
    const { length } = nodes;
    const [first] = nodes;
    const byLength = (first && tables.get(first.capacity)) ?? new Map<number, Table>();
    if (first) tables.set(first.capacity, byLength);
    const table = byLength.get(length) ?? {
      nodes: new Array<NodeSnapshot | undefined>(length).fill(undefined),
      columns: reads.map(() => new Float64Array(length)),
    };
    byLength.delete(length);
    byLength.set(length, table);
    for (const oldest of byLength.keys()) {
      if (byLength.size <= lengthsKept) break;
      byLength.delete(oldest);
    }
    refresh(table, nodes, reads);
    return table.columns;
  };
}
