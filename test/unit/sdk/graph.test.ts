import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AiosError } from '../../../sdk/errors.ts';
import { findCycle, graphEnds, type LabelledGraph, topologicalOrder } from '../../../sdk/vdag.ts';

const graphOf = (size: number, pairs: readonly (readonly [number, number])[]): LabelledGraph => ({
  nodes: Array.from({ length: size }, (_, index) => ({ label: `n${index}` })),
  edges: pairs.map(([from, to]) => ({ from: `n${from % size}`, to: `n${to % size}` })),
});
const anyGraph = fc
  .tuple(
    fc.integer({ min: 1, max: 12 }),
    fc.array(fc.tuple(fc.nat(50), fc.nat(50)), { maxLength: 20 }),
  )
  .map(([size, pairs]) => graphOf(size, pairs));
/** Edges lead from lower to higher numbers only. */
const acyclic = anyGraph.map(({ nodes, edges }) => ({
  nodes,
  edges: edges
    .filter(({ from, to }) => from !== to)
    .map(({ from, to }) =>
      Number(from.slice(1)) < Number(to.slice(1)) ? { from, to } : { from: to, to: from },
    ),
}));

describe('the order of a graph', () => {
  it('has every node once, after all it reads from', () => {
    fc.assert(
      fc.property(acyclic, (graph) => {
        const order = topologicalOrder(graph);

        expect([...order].sort()).toEqual(graph.nodes.map(({ label }) => label).sort());
        for (const { from, to } of graph.edges) {
          expect(order.indexOf(from)).toBeLessThan(order.indexOf(to));
        }
      }),
    );
  });

  it('exists exactly where there is no cycle, and a cycle follows edges back to its start', () => {
    fc.assert(
      fc.property(anyGraph, (graph) => {
        const cycle = findCycle(graph);

        if (!cycle) {
          expect(topologicalOrder(graph)).toHaveLength(graph.nodes.length);
          return;
        }
        expect(cycle[0]).toBe(cycle.at(-1));
        for (const [index, from] of cycle.slice(0, -1).entries()) {
          expect(graph.edges).toContainEqual({ from, to: cycle[index + 1] });
        }
        expect(() => topologicalOrder(graph)).toThrow(
          expect.objectContaining({ code: 'VDAG_CYCLE' }),
        );
      }),
    );
  });

  it('prints the cycle', () => {
    const graph = graphOf(3, [
      [0, 1],
      [1, 2],
      [2, 1],
    ]);
    try {
      topologicalOrder(graph);
      expect.unreachable();
    } catch (error) {
      expect(AiosError.from(error).message).toMatch(/n1 => n2 => n1|n2 => n1 => n2/);
      expect(AiosError.from(error).details.path).toHaveLength(3);
    }
  });

  it('refuses edges to nowhere', () => {
    const graph = { nodes: [{ label: 'a' }], edges: [{ from: 'a', to: 'b' }] };

    expect(() => topologicalOrder(graph)).toThrow(
      expect.objectContaining({ code: 'VDAG_NODE_UNBOUND' }),
    );
  });

  it('takes long chains without recursion', () => {
    const size = 20_000;
    const pairs = Array.from({ length: size }, (_, index) => [index, index + 1] as const);

    expect(findCycle(graphOf(size, pairs))).toHaveLength(size + 1);
    expect(topologicalOrder(graphOf(size, pairs.slice(0, -1)))).toHaveLength(size);
  });
});

it('the ends of a graph are the nodes that nothing leads into, and out of', () => {
  const graph = graphOf(4, [
    [0, 2],
    [1, 2],
  ]);

  expect(graphEnds(graph)).toEqual({ heads: ['n0', 'n1', 'n3'], tails: ['n2', 'n3'] });
});
