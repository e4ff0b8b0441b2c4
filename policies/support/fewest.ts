import type { HookInput } from '../../sdk/hooks.ts';
import { balance, type Cut, createSizer } from './partition.ts';

type Model = HookInput<'splitPlanner'>['model'];

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/**
 * The fewest shards that fit, one a node. Larger nodes are never worse, so `count` shards take the `count` largest.
 *
 * @param largestFirst - free bytes of each node
 */
export function fewest(model: Model, largestFirst: readonly number[]): Cut | undefined {
  const whole = createSizer(model)(0, model.layers.length);
  for (let count = 1; count <= Math.min(model.layers.length, largestFirst.length); count += 1) {
    const sizes = largestFirst.slice(0, count);
    if (sum(sizes) < whole + (count - 1) * model.overheadBytes) continue;
    const cut = balance(model, sizes, 1);
    if (cut) return cut;
  }
  return undefined;
}
