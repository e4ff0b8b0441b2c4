import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { formatBytes } from '../../sdk/units.ts';
import { cutEvenly, fitsApart, fitsTogether } from '../support/partition.ts';

/** Choose it for nodes of one size, and to compare shard counts. */
export default definePolicy({
  hook: 'splitPlanner',
  name: 'even',
  version: '1.0.0',
  description:
    'Cuts a model into parts of equal bytes. Choose it when nodes are alike, or to get exactly the number of shards asked for.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate({ model, shards, nodes }) {
    const free = nodes.map((node) => node.freeMemoryBytes);
    const layers = model.layers.length;
    if (shards !== undefined) {
      const cut = cutEvenly(model, shards);
      if (!cut) {
        return {
          infeasible: `${shards} shards need as many layers; '${model.name}' has ${layers}.`,
        };
      }
      if (nodes.length > 0 && !fitsTogether(cut.shardBytes, free)) {
        return {
          infeasible: `${shards} even shards of at most ${formatBytes(Math.max(...cut.shardBytes))} do not fit the nodes (largest free: ${formatBytes(Math.max(...free))}). Ask for more shards, or let 'memory-aware:1.0.0-stable' cut.`,
        };
      }
      return { firstLayers: [...cut.firstLayers] };
    }

    if (nodes.length === 0) return { firstLayers: [0], reason: 'no nodes were named' };
    for (let parts = 1; parts <= Math.min(layers, nodes.length); parts += 1) {
      const cut = cutEvenly(model, parts);
      if (cut && fitsApart(cut.shardBytes, free)) return { firstLayers: [...cut.firstLayers] };
    }
    return {
      infeasible: `no even cut of '${model.name}' into up to ${Math.min(layers, nodes.length)} shards fits one shard a node (largest free: ${formatBytes(Math.max(...free))}). Let 'memory-aware:1.0.0-stable' cut, or add nodes.`,
    };
  },
});
