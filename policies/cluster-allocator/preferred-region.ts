import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { selectorParameters, selectorSettings } from '../support/aios.ts';

/** Choose it where users, data or laws are at one place, and another will do when that one is full. */
export default definePolicy({
  hook: 'clusterAllocator',
  name: 'preferred-region',
  version: '1.0.0',
  description:
    'Takes a cluster of the first region in a list that has room, the one with the most free memory among equals. Choose it to keep blocks near their users.',
  parameters: selectorParameters.extend({
    /** Region ids, best first. */
    regions: z.array(z.string()).max(100).default([]),
    /** Whether regions that are not listed may serve when no other can. */
    others: z.enum(['last', 'never']).default('last'),
  }),
  settings: selectorSettings,
  evaluate(input, { parameters, settings }) {
    // They come in the order of the selection, without those that had no room.
    if (input.action === 'post_dry_run') {
      return { clusterId: input.candidates[0]?.clusterId ?? '' };
    }
    const { regions, others } = parameters;
    const { max_candidates: most } = settings;
    const ranked = input.clusters.map(({ id, regionId, nodes }) => {
      const listed = regions.indexOf(regionId);
      return {
        ...{ id, regionId, allowed: listed >= 0 || others === 'last' },
        place: listed < 0 ? regions.length : listed,
        freeBytes: nodes.reduce(
          (sum, { healthy, free }) => sum + (healthy ? free.memoryBytes : 0),
          0,
        ),
      };
    });
    const allowed = ranked
      .filter((cluster) => cluster.allowed)
      .sort((a, b) => a.place - b.place || b.freeBytes - a.freeBytes || (a.id < b.id ? -1 : 1));
    return {
      clusters: allowed.slice(0, most).map(({ id }) => id),
      refused: [
        ...allowed
          .slice(most)
          .map(({ id }) => ({ clusterId: id, reason: `max_candidates: ${most}` })),
        ...ranked
          .filter((cluster) => !cluster.allowed)
          .map(({ id, regionId }) => ({
            clusterId: id,
            reason: `region '${regionId}' is none of: ${regions.join(', ')}`,
          })),
      ],
    };
  },
});
