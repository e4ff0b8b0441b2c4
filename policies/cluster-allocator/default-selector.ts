import { definePolicy } from '../../sdk/policy.ts';
import { selectorParameters, selectorSettings } from '../support/aios.ts';
import { selectBest } from '../support/select.ts';

/** AIOS's selector for whatever needs no device: the clusters with the most free cores. */
export default definePolicy({
  hook: 'clusterAllocator',
  name: 'policy.clusterAllocator.default-selector',
  version: 'v1',
  description:
    'Scores the clusters with the most free cores. Choose it for blocks that need no GPU.',
  parameters: selectorParameters,
  settings: selectorSettings,
  evaluate: (input, { settings }) =>
    selectBest(input, settings.max_candidates, ({ nodes }) =>
      nodes.reduce((sum, { healthy, free }) => sum + (healthy ? free.cpuCores : 0), 0),
    ),
});
