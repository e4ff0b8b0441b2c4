import { z } from 'zod';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import type { BlockView, HookInput } from '../../sdk/hooks.ts';
import { definePolicy } from '../../sdk/policy.ts';
import { allocatorParameters } from '../support/allocate.ts';
import { allocateOneByOne } from '../support/one-by-one.ts';

type Input = HookInput<'resourceAllocator'>;

/** How many instances of the block each zone or rack holds. Nodes that are full, or failed, hold some too. */
function countIn(block: BlockView, domains: ReadonlyMap<string, string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { nodeId } of block.instances) {
    const domain = domains.get(nodeId);
    if (domain !== undefined) counts.set(domain, (counts.get(domain) ?? 0) + 1);
  }
  return counts;
}

function roomIn(nodes: readonly NodeSnapshot[], domains: ReadonlyMap<string, string>) {
  const bytes = new Map<string, number>();
  for (const { id, free } of nodes) {
    const domain = domains.get(id) ?? id;
    bytes.set(domain, (bytes.get(domain) ?? 0) + free.memoryBytes);
  }
  const most = Math.max(1, ...bytes.values());
  return (domain: string): number => (bytes.get(domain) ?? 0) / most;
}

/** A number of the domain weighs more than any number of the node, from 0 to 1, can. */
const above = (count: number, within: number): number =>
  1 / (2 + count) + within * (1 / (1 + count) - 1 / (2 + count));

/** Choose it where zones or racks fail as one, or where instances talk to each other. */
export default definePolicy({
  hook: 'resourceAllocator',
  name: 'topology-aware',
  version: '1.0.0',
  description:
    'Spreads instances over zones or racks, or packs them into one. Choose it where such a place fails as a whole, or is fast inside.',
  parameters: allocatorParameters.extend({
    /** Key of the nodes' metadata; nodes without it are a place each. */
    topology_key: z.string().min(1).default('zone'),
  }),
  settings: z.strictObject({ arrangement: z.enum(['spread', 'pack']).default('spread') }),
  evaluate(input: Input, { parameters, settings }) {
    const { topology_key: key, ...rest } = parameters;
    const domainOf = ({ id, metadata }: NodeSnapshot): string => {
      const named = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
      // A name of its own kind: a zone may be called as a node is.
      return named === undefined || named === null || named === '' ? `node ${id}` : `in ${named}`;
    };
    const all = [...input.cluster.nodes, ...input.nodes];
    const domains = new Map(all.map((node) => [node.id, domainOf(node)]));
    return allocateOneByOne(input, rest, (block, nodes) => {
      const counts = countIn(block, domains);
      const roomOf = roomIn(nodes, domains);
      return (node) => {
        const domain = domains.get(node.id) ?? '';
        const count = counts.get(domain) ?? 0;
        const free = node.free.memoryBytes / Math.max(1, node.capacity.memoryBytes);
        if (settings.arrangement === 'spread') return above(count, free);
        // Begun where the most room is, so that the rest find place beside it.
        const within = 0.9 * roomOf(domain) + 0.1 * (1 - free);
        return 1 - above(count, 1 - within);
      };
    });
  },
});
