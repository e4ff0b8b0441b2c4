import { hashText } from './hash.ts';
import type { Costs } from './pipeline-costs.ts';

type Key = (node: number) => number | string;

function compare(keys: readonly Key[]): (a: number, b: number) => number {
  return (a, b) => {
    for (const key of keys) {
      const [left, right] = [key(a), key(b)];
      if (left < right) return -1;
      if (left > right) return 1;
    }
    return a - b;
  };
}

/**
 * Orders of all nodes, each with its reverse. Where a node stands among others depends on it and on them alone: with a node
 * more, the others stand to each other as before, so that what was possible in an order stays possible.
 *
 * Any two nodes come one way round in an order and the other way round in its reverse.
 */
export function nodeOrders(costs: Costs): readonly (readonly number[])[] {
  const { nodes, names, clusterIds, msPerByte, freeBytes } = costs;
  const name: Key = (node) => names[node] ?? '';
  const slowness: Key = (node) => msPerByte[node] ?? 0;
  const fullness: Key = (node) => -(freeBytes[node] ?? 0);
  const cluster: Key = (node) => clusterIds[node] ?? '';
  const drawn = (salt: string): Key[] => {
    const hashes = names.map((one) => hashText(`${salt}\n${one}`));
    return [(node) => hashes[node] ?? 0, name];
  };
  const all = Array.from({ length: nodes }, (_, node) => node);
  return [
    [slowness, fullness, name],
    [fullness, slowness, name],
    [cluster, slowness, name],
    drawn('one'),
    drawn('two'),
  ].flatMap((keys) => {
    const order = [...all].sort(compare(keys));
    return [order, order.toReversed()];
  });
}
