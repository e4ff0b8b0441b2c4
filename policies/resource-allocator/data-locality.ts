import { z } from 'zod';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import { definePolicy } from '../../sdk/policy.ts';
import { allocate, allocatorParameters } from '../support/allocate.ts';

function namesOf({ tags, metadata }: NodeSnapshot, key: string): ReadonlySet<string> {
  const listed = Object.hasOwn(metadata, key) ? metadata[key] : [];
  return new Set([...tags, ...[listed].flat().map(String)]);
}

/** Choose it where moving data to a block costs more than moving the block to the data. */
export default definePolicy({
  hook: 'resourceAllocator',
  name: 'data-locality',
  version: '1.0.0',
  description:
    'Takes the node that holds most of the data a block names. Choose it for blocks that read large files.',
  parameters: allocatorParameters.extend({
    /** Names of what the block reads: data sets, artifacts; left out: the block's tags. */
    data: z.array(z.string()).max(1000).optional(),
    /** Key of the nodes' metadata with a name or a list of names; their tags count too. */
    data_key: z.string().min(1).default('data'),
  }),
  settings: z.strictObject({}),
  evaluate(input, { parameters }) {
    const { data: named, data_key: key, ...rest } = parameters;
    const data = [...new Set(named ?? input.block.tags)];
    const local = new Map(
      input.nodes.map((node) => {
        const names = namesOf(node, key);
        const held = data.filter((name) => names.has(name)).length;
        return [node.id, held / Math.max(1, data.length)];
      }),
    );
    // What a node lacks must be fetched: one name more counts for more than any amount of free memory.
    const freeWeight = 0.9 / (1 + data.length);
    return allocate(input, rest, (node) => {
      const free = node.free.memoryBytes / Math.max(1, node.capacity.memoryBytes);
      return (1 - freeWeight) * (local.get(node.id) ?? 0) + freeWeight * free;
    });
  },
});
