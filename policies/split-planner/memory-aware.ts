import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { fewest } from '../support/fewest.ts';
import { balance, cutEvenly, fitsTogether } from '../support/partition.ts';
import { whyNotAndWhatWould } from '../support/would-fit.ts';

/** The default: a hop between shards costs time at every token, so it takes as few as the nodes allow, one if it can. */
export default definePolicy({
  hook: 'splitPlanner',
  name: 'memory-aware',
  version: '1.0.0',
  description:
    'Cuts a model into the fewest shards that fit the free memory of the nodes, larger shards for larger nodes; does not split when one node fits. Choose it unless nodes are to be loaded evenly.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate(question) {
    const { model, shards, nodes } = question;
    const largestFirst = nodes.map((node) => node.freeMemoryBytes).sort((a, b) => b - a);
    if (shards === undefined) {
      if (nodes.length === 0) return { firstLayers: [0], reason: 'no nodes were named' };
      const cut = fewest(model, largestFirst);
      return cut
        ? { firstLayers: [...cut.firstLayers] }
        : { infeasible: whyNotAndWhatWould(question) };
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
      : { infeasible: whyNotAndWhatWould(question) };
  },
});
