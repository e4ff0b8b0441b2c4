import { defineVdag } from 'aios-sdk';
import { expectTypeOf, test } from 'vitest';

const nodes = { detect: { block: 'detector' }, track: { vdag: 'tracker:1-stable' } } as const;

test('a vDAG knows its labels', () => {
  const vdag = defineVdag({ name: 'g', version: '1', nodes, edges: [['detect', 'track']] });

  expectTypeOf(vdag.labels).toEqualTypeOf<readonly ('detect' | 'track')[]>();
});

test('an edge to nowhere is an error', () => {
  defineVdag({
    name: 'g',
    version: '1',
    nodes,
    // @ts-expect-error no node is called tracker
    edges: [['detect', 'tracker']],
  });
});

test('a node that is both a block and a vDAG is an error', () => {
  defineVdag({
    name: 'g',
    version: '1',
    // @ts-expect-error one of the two
    nodes: { both: { block: 'b', vdag: 'v:1-stable' } },
  });
});
