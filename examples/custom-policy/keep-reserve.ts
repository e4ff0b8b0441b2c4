import { definePolicy, formatBytes } from 'aios-sdk';
import { z } from 'zod';

/** Leaves a share of every node's memory free, and fills the node with the most to spare first. */
export default definePolicy({
  hook: 'resourceAllocator',
  name: 'keep-reserve',
  version: '1.0.0',
  description: 'Keeps a share of each node free. Choose it where something else runs beside.',
  parameters: z.object({ reserveFraction: z.number().min(0).max(0.95).default(0.25) }),
  settings: z.object({}),
  evaluate(input, { parameters, log }) {
    // What is allocated is what the dry run planned.
    if (input.action === 'allocation') return { accept: true };

    const needed = input.block.resources.memoryBytes;
    const nodes = input.nodes
      .map(({ id, free, capacity }) => {
        const spare = free.memoryBytes - capacity.memoryBytes * parameters.reserveFraction;
        const fraction = spare / capacity.memoryBytes;
        const seen = `${formatBytes(free.memoryBytes)} of ${formatBytes(capacity.memoryBytes)} free`;
        return spare >= needed
          ? { nodeId: id, score: fraction, room: Math.floor(spare / needed) }
          : { nodeId: id, refusedBy: `reserve of ${parameters.reserveFraction}`, seen, room: 0 };
      })
      .sort((a, b) => b.room - a.room);

    const places = nodes.flatMap(({ nodeId, room }) =>
      Array.from({ length: Math.min(room, input.instances) }, () => ({ nodeId })),
    );
    log(`room for ${places.length} of ${input.instances}`);
    const enough = places.length >= input.instances;
    return {
      score: enough ? Math.max(0, ...nodes.map((node) => node.score ?? 0)) : 0,
      assignments: enough ? places.slice(0, input.instances) : [],
      nodes: nodes.map(({ room: _room, ...node }) => node),
    };
  },
});
