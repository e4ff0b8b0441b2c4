import { describe, expect, it } from 'vitest';
import { carryRuns, contentOf, deepFreeze, digestOf } from '../../../runtime/policy/index.ts';

/** Nodes that count how often they are looked into, in lists that count how often one is taken out. */
function inventory(length: number) {
  const counts = { nodes: 0, elements: 0 };
  const node = (at: number, free: number) =>
    deepFreeze({
      id: `n${at}`,
      about: 'x'.repeat(600),
      get free() {
        counts.nodes += 1;
        return free;
      },
    });
  const nodes = Array.from({ length }, (_, at) => node(at, at));
  function listOf(elements: readonly object[]): readonly object[] {
    const list: object[] = [];
    for (const [at, element] of elements.entries()) {
      const get = (): object => {
        counts.elements += 1;
        return element;
      };
      Object.defineProperty(list, at, { get, enumerable: true });
    }
    return deepFreeze(list);
  }
  function during<T>(act: () => T): { readonly result: T } & typeof counts {
    counts.nodes = 0;
    counts.elements = 0;
    return { result: act(), ...counts };
  }
  return { nodes, node, listOf, during };
}

describe('the digest of an inventory of which one node changed', () => {
  it('reads that node, and takes out only its run', () => {
    const { nodes, node, listOf, during } = inventory(640);
    const before = listOf(nodes);
    const first = during(() => digestOf({ nodes: before }));
    // The first element of each run also says which runs are known.
    expect(first).toMatchObject({ nodes: 640, elements: 640 + 10 });
    expect(during(() => digestOf({ nodes: before, again: before }))).toMatchObject({
      ...{ nodes: 0, elements: 0 },
    });

    const next = nodes.with(100, node(100, -1));
    const after = listOf(next);
    carryRuns(before, after, [100]);
    const { result, ...counts } = during(() => digestOf({ nodes: after }));

    // Each element of the run once to compare it with what is known, and once to read it.
    expect(counts.nodes).toBe(1);
    expect(counts.elements).toBeLessThanOrEqual(3 * 64);
    expect(result).toBe(digestOf({ nodes: structuredClone(next) }));
    expect(result).not.toBe(first.result);
  });

  it('writes it down without reading it again', () => {
    const { nodes, listOf, during } = inventory(640);
    const input = deepFreeze({ nodes: listOf(nodes) });
    digestOf(input);

    const { result, ...counts } = during(() => contentOf(input));

    expect(counts).toEqual({ nodes: 0, elements: 0 });
    expect(result.parts).toHaveLength(1);
  });

  it('takes nothing over from a list that may change, or of another length', () => {
    const { nodes, node, listOf } = inventory(200);
    const before = listOf(nodes);
    digestOf(before);
    const loose = [...nodes];
    carryRuns(before, loose, []);
    digestOf(loose);
    loose[5] = node(5, -1);
    expect(digestOf(loose)).toBe(digestOf(structuredClone(loose)));

    const shorter = listOf(nodes.slice(1));
    carryRuns(before, shorter, [0]);
    expect(digestOf(shorter)).toBe(digestOf(structuredClone(nodes.slice(1))));
  });

  it('keeps the order of keys apart from the digest', () => {
    const block = (keys: readonly string[]) =>
      deepFreeze(Object.fromEntries(keys.map((key) => [key, 'y'.repeat(20)])));
    const keys = Array.from({ length: 20 }, (_, at) => `k${(at * 7) % 20}`);
    for (const length of [4, 10, 20]) {
      const some = keys.slice(0, length);
      const [one, other] = [block(some), block([...some].reverse())];
      expect(digestOf({ one })).toBe(digestOf({ one: other }));
      for (const each of [one, other, one]) {
        const { text, parts } = contentOf(deepFreeze({ each }));
        expect(parts.length > 0 ? parts[0]?.value : JSON.parse(text).each).toEqual(each);
        if (parts.length === 0) expect(text).toBe(JSON.stringify({ each }));
      }
    }
  });
});
