import { definePolicy } from '../../sdk/policy.ts';
import { selectorParameters, selectorSettings } from '../support/aios.ts';
import { selectBest } from '../support/select.ts';

/** AIOS's selector for language models: a model wants its devices together, so the cluster whose best node has most free device memory leads. */
export default definePolicy({
  hook: 'clusterAllocator',
  name: 'policy.clusterAllocator.llm-cluster-selector',
  version: 'v1',
  description:
    'Scores the clusters whose best node has the most free GPU memory. Choose it for models that need several devices of one machine.',
  parameters: selectorParameters,
  settings: selectorSettings,
  evaluate: (input, { settings }) =>
    selectBest(input, settings.max_candidates, ({ nodes }) =>
      nodes.reduce((most, { healthy, gpus }) => {
        const free = gpus.reduce((sum, gpu) => sum + gpu.freeMemoryBytes, 0);
        return healthy ? Math.max(most, free) : most;
      }, 0),
    ),
});
