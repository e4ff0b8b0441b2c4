import type { Policy } from '../../sdk/policy.ts';
import bestScore from './best-score.ts';
import defaultSelector from './default-selector.ts';
import llmClusterSelector from './llm-cluster-selector.ts';
import preferredRegion from './preferred-region.ts';
import yoloClusterSelector from './yolo-cluster-selector.ts';

/** One line a file of this folder. */
export const clusterAllocators = [
  bestScore,
  defaultSelector,
  llmClusterSelector,
  preferredRegion,
  yoloClusterSelector,
] as const satisfies readonly Policy<'clusterAllocator'>[];
