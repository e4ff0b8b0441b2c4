import { z } from 'zod';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import { definePolicy } from '../../sdk/policy.ts';
import { allocate, allocatorParameters } from '../support/allocate.ts';

const domainOf = (node: NodeSnapshot, key: string): string => String(node.metadata[key] ?? node.id);

/** Choose it where zones or racks fail as one, or where instances talk to each other. */
export default definePolicy({
  hook: 'resourceAllocator',
  name: 'topology-aware',
  version: '1.0.0',
  description:
    'Spreads instances over zones or racks, or packs them into one. Choose it where such a place fails as a whole, or is fast inside.',
  parameters: allocatorParameters.extend({
    /** Key of the nodes' metadata; nodes without it are a place each. */
    topology_key: z.string().default('zone'),
  }),
  settings: z.strictObject({ arrangement: z.enum(['spread', 'pack']).default('spread') }),
  evaluate(input, { parameters, settings }) {
    const { topology_key: key, ...rest } = parameters;
    const domains = new Map(input.nodes.map((node) => [node.id, domainOf(node, key)]));
    const own = new Map<string, number>();
    for (const { nodeId } of input.block.instances) {
      const domain = domains.get(nodeId);
      if (domain !== undefined) own.set(domain, (own.get(domain) ?? 0) + 1);
    }
    const onNode = new Map<string, number>();
    return allocate(input, rest, (node, ownInstances) => {
      const domain = domains.get(node.id) ?? node.id;
      // What this plan put on the node so far counts for its whole place.
      const added = ownInstances - (onNode.get(node.id) ?? ownInstances);
      if (!onNode.has(node.id)) onNode.set(node.id, ownInstances);
      else if (added > 0) {
        own.set(domain, (own.get(domain) ?? 0) + added);
        onNode.set(node.id, ownInstances);
      }
      const here = own.get(domain) ?? 0;
      const freeFraction = node.free.memoryBytes / Math.max(1, node.capacity.memoryBytes);
      return settings.arrangement === 'spread'
        ? 0.9 / (1 + here) + 0.1 * freeFraction
        : 0.9 * (1 - 1 / (2 + here)) + 0.1 * (1 - freeFraction);
    });
  },
});
