import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeColumns } from '../../../policies/support/node-columns.ts';
import type { NodeSnapshot } from '../../../sdk/cluster.ts';
import { node } from './snapshots.ts';

const { capacity } = node('any');
/** Nodes of one cluster: what is declared stays the same object. */
const machine = (at: number, free: number): NodeSnapshot =>
  Object.freeze({ ...node(`n${at}`, { free }), capacity });

function counted() {
  let reads = 0;
  const columns = nodeColumns((each) => {
    reads += 1;
    return each.free.memoryBytes;
  });
  return {
    columns,
    readsOf(nodes: readonly NodeSnapshot[]): number {
      reads = 0;
      columns(nodes);
      return reads;
    },
  };
}

const many = Array.from({ length: 300 }, (_, at) => machine(at, at % 7));

describe('columns of nodes', () => {
  it('read each node once, and of the next list only those that are others', () => {
    const { readsOf } = counted();

    expect(readsOf(many)).toBe(300);
    expect(readsOf(many)).toBe(0);
    expect(readsOf(many.with(77, machine(77, 3)))).toBe(1);
  });

  it('keep lists of other lengths apart, up to four', () => {
    const { readsOf } = counted();

    for (const length of [300, 50, 20, 10]) expect(readsOf(many.slice(0, length))).toBe(length);
    expect(readsOf(many)).toBe(0);
    expect(readsOf(many.slice(0, 5))).toBe(5);
    expect(readsOf(many.slice(0, 50))).toBe(50);
  });

  it('read again what may have changed, and another cluster from the start', () => {
    const { readsOf } = counted();
    readsOf(many);

    const loose = many.with(3, { ...machine(3, 1) });
    expect(readsOf(loose)).toBe(1);
    expect(readsOf(loose)).toBe(1);
    expect(readsOf(many.map((each) => ({ ...each, capacity: { ...capacity } })))).toBe(300);
    expect(readsOf([])).toBe(0);
  });

  it('hold what the nodes say, whatever came before', () => {
    const { columns } = counted();
    const lists = fc.array(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 12 }));
    const known = new Map<string, NodeSnapshot>();
    const of = (free: number, at: number): NodeSnapshot => {
      const name = `${at}/${free}`;
      const found = known.get(name) ?? machine(at, free);
      known.set(name, found);
      return found;
    };
    fc.assert(
      fc.property(lists, (history) => {
        for (const frees of history) {
          const [free] = columns(frees.map(of));
          expect(Array.from(free ?? [])).toEqual(frees);
        }
      }),
    );
  });
});
