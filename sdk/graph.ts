import { VdagError } from './errors.ts';

/** What the graph functions need of a vDAG; every edge's ends must be labels of `nodes`. */
export interface LabelledGraph {
  readonly nodes: readonly { readonly label: string }[];
  readonly edges: readonly { readonly from: string; readonly to: string }[];
}

interface Sorted {
  readonly order: readonly string[];
  /** Nodes on or behind a cycle, each with a predecessor that is also left. */
  readonly left: ReadonlyMap<string, string>;
}

/** Kahn's algorithm; among nodes that are ready, the document's order holds. O(nodes + edges). */
function sort(graph: LabelledGraph): Sorted {
  const waitingFor = new Map(graph.nodes.map(({ label }) => [label, 0]));
  const followers = new Map<string, string[]>();
  for (const { from, to } of graph.edges) {
    if (!waitingFor.has(from) || !waitingFor.has(to)) {
      const label = waitingFor.has(from) ? to : from;
      throw new VdagError('VDAG_NODE_UNBOUND', `an edge names '${label}', which is no node.`);
    }
    waitingFor.set(to, (waitingFor.get(to) ?? 0) + 1);
    const list = followers.get(from);
    if (list) list.push(to);
    else followers.set(from, [to]);
  }
  const order = [...waitingFor].filter(([, count]) => count === 0).map(([label]) => label);
  for (let next = 0; next < order.length; next += 1) {
    for (const to of followers.get(order[next] ?? '') ?? []) {
      const count = (waitingFor.get(to) ?? 0) - 1;
      waitingFor.set(to, count);
      if (count === 0) order.push(to);
    }
  }
  const done = new Set(order);
  const left = new Map<string, string>();
  for (const { from, to } of graph.edges) {
    if (!done.has(from) && !done.has(to)) left.set(to, from);
  }
  return { order, left };
}

function cycleOf(left: ReadonlyMap<string, string>): readonly string[] | undefined {
  const [start] = left.keys();
  if (start === undefined) return undefined;
  const walked: string[] = [];
  const seenAt = new Map<string, number>();
  for (let label: string | undefined = start; label !== undefined; label = left.get(label)) {
    const first = seenAt.get(label);
    if (first !== undefined) return [label, ...walked.slice(first, walked.length).reverse()];
    seenAt.set(label, walked.length);
    walked.push(label);
  }
  return undefined;
}

/** `a => b => a`. */
export const formatCycle = (labels: readonly string[]): string => labels.join(' => ');

/** @returns the labels of one cycle, its first repeated at the end, or nothing. */
export const findCycle = (graph: LabelledGraph): readonly string[] | undefined =>
  cycleOf(sort(graph).left);

/**
 * Labels so that every node comes after all it reads from.
 *
 * @throws {VdagError} VDAG_CYCLE - details.path holds the labels; VDAG_NODE_UNBOUND - an edge names no node
 */
export function topologicalOrder(graph: LabelledGraph): readonly string[] {
  const { order, left } = sort(graph);
  const cycle = cycleOf(left);
  if (cycle) {
    throw new VdagError(
      'VDAG_CYCLE',
      `the graph has a cycle: ${formatCycle(cycle)}. Remove one of its edges.`,
      { details: { path: cycle } },
    );
  }
  return order;
}

/** Nodes without an edge into them, and nodes without one out of them, in the document's order. */
export function graphEnds(graph: LabelledGraph): {
  readonly heads: readonly string[];
  readonly tails: readonly string[];
} {
  const entered = new Set(graph.edges.map(({ to }) => to));
  const left = new Set(graph.edges.map(({ from }) => from));
  const labels = graph.nodes.map(({ label }) => label);
  return {
    heads: labels.filter((label) => !entered.has(label)),
    tails: labels.filter((label) => !left.has(label)),
  };
}
