import type { DagNode } from './dag.ts';

type Order = { readonly sorted: readonly DagNode[] } | { readonly cycle: readonly DagNode[] };

/** The order of the file where it is one, else the nearest: of the nodes that may come next, the first in the file. */
export function topologicalOrder(nodes: readonly DagNode[]): Order {
  const producers = new Map<string, number>();
  for (const [index, { ref }] of nodes.entries()) {
    for (const name of ref.outputs) if (name !== '') producers.set(name, index);
  }
  const needs = nodes.map(({ reads }) => [
    ...new Set(reads.flatMap((name) => producers.get(name) ?? [])),
  ]);
  if (needs.every((before, index) => before.every((other) => other < index))) {
    return { sorted: nodes };
  }
  const state = new Uint8Array(nodes.length);
  const sorted: DagNode[] = [];
  for (const start of nodes.keys()) {
    // Depth first without recursion: a chain of a million nodes must not exhaust the stack.
    const path: { readonly node: number; next: number }[] = [];
    const enter = (node: number) => {
      state[node] = 1;
      path.push({ node, next: 0 });
    };
    if (state[start] === 0) enter(start);
    for (let top = path.at(-1); top; top = path.at(-1)) {
      const need = needs[top.node]?.[top.next];
      top.next += 1;
      if (need === undefined) {
        state[top.node] = 2;
        const done = nodes[top.node];
        if (done) sorted.push(done);
        path.pop();
      } else if (state[need] === 0) {
        enter(need);
      } else if (state[need] === 1) {
        const from = path.findIndex(({ node }) => node === need);
        return { cycle: path.slice(from, from + 10).flatMap(({ node }) => nodes[node] ?? []) };
      }
    }
  }
  return { sorted };
}
