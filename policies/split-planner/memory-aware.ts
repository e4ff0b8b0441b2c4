import { z } from 'zod';
import type { HookInput } from '../../sdk/hooks.ts';
import { definePolicy } from '../../sdk/policy.ts';
import { formatBytes } from '../../sdk/units.ts';
import { balance, type Cut, createSizer, cutEvenly, fitsTogether } from '../support/partition.ts';

type Model = HookInput<'splitPlanner'>['model'];

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** The fewest shards that fit, one a node. Larger nodes are never worse, so `count` shards take the `count` largest. */
function fewest(model: Model, largestFirst: readonly number[]): Cut | undefined {
  const whole = createSizer(model)(0, model.layers.length);
  for (let count = 1; count <= Math.min(model.layers.length, largestFirst.length); count += 1) {
    const sizes = largestFirst.slice(0, count);
    if (sum(sizes) < whole + (count - 1) * model.overheadBytes) continue;
    const cut = balance(model, sizes, 1);
    if (cut) return cut;
  }
  return undefined;
}

function whatWouldFit(model: Model, largestFirst: readonly number[]): string {
  const count = Math.min(model.layers.length, largestFirst.length);
  const needed = Math.max(...(cutEvenly(model, count)?.shardBytes ?? []));
  const remedies = [`${count} nodes with at least ${formatBytes(needed)} free each`];
  const [largest = 0] = largestFirst;
  for (let more = count + 1; more <= Math.min(model.layers.length, count + 64); more += 1) {
    if (Math.max(...(cutEvenly(model, more)?.shardBytes ?? [])) > largest) continue;
    remedies.push(`${more} nodes with ${formatBytes(largest)}`);
    break;
  }
  return remedies.join(', or ');
}

function infeasible(model: Model, largestFirst: readonly number[]): string {
  const whole = createSizer(model)(0, model.layers.length);
  return (
    `'${model.name}' needs ${formatBytes(whole)} for weights, KV cache and working memory; ` +
    `${largestFirst.length} nodes have ${formatBytes(sum(largestFirst))} free, the largest ${formatBytes(largestFirst[0] ?? 0)}. ` +
    `What would fit: ${whatWouldFit(model, largestFirst)}.`
  );
}

/** The default: a hop between shards costs time at every token, so it takes as few as the nodes allow, one if it can. */
export default definePolicy({
  hook: 'splitPlanner',
  name: 'memory-aware',
  version: '1.0.0',
  description:
    'Cuts a model into the fewest shards that fit the free memory of the nodes, larger shards for larger nodes; does not split when one node fits. Choose it unless nodes are to be loaded evenly.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate({ model, shards, nodes }) {
    const largestFirst = nodes.map((node) => node.freeMemoryBytes).sort((a, b) => b - a);
    if (shards === undefined) {
      if (nodes.length === 0) return { firstLayers: [0], reason: 'no nodes were named' };
      const cut = fewest(model, largestFirst);
      return cut
        ? { firstLayers: [...cut.firstLayers] }
        : { infeasible: infeasible(model, largestFirst) };
    }

    const even = cutEvenly(model, shards);
    if (!even) {
      return {
        infeasible: `${shards} shards need as many layers; '${model.name}' has ${model.layers.length}.`,
      };
    }
    if (nodes.length === 0) return { firstLayers: [...even.firstLayers] };
    const apart =
      shards <= nodes.length ? balance(model, largestFirst.slice(0, shards), 1) : undefined;
    if (apart) return { firstLayers: [...apart.firstLayers] };
    return fitsTogether(even.shardBytes, largestFirst)
      ? { firstLayers: [...even.firstLayers], reason: 'some nodes will hold several shards' }
      : { infeasible: infeasible(model, largestFirst) };
  },
});
