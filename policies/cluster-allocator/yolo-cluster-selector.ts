import { definePolicy } from '../../sdk/policy.ts';
import { selectorParameters, selectorSettings } from '../support/aios.ts';
import { selectBest } from '../support/select.ts';

/** AIOS's selector for detectors: each takes one device, so idle devices count, wherever they are. */
export default definePolicy({
  hook: 'clusterAllocator',
  name: 'policy.clusterAllocator.yolo-cluster-selector',
  version: 'v1',
  description:
    'Scores the clusters with the most idle GPUs. Choose it for small models that take one device each.',
  parameters: selectorParameters,
  settings: selectorSettings,
  evaluate: (input, { settings }) =>
    selectBest(input, settings.max_candidates, ({ nodes }) =>
      nodes.reduce(
        (sum, { healthy, gpus }) =>
          healthy ? sum + gpus.reduce((idle, gpu) => idle + 1 - gpu.utilizationFraction, 0) : sum,
        0,
      ),
    ),
});
