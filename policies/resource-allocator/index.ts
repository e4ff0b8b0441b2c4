import type { Policy } from '../../sdk/policy.ts';
import binPack from './bin-pack.ts';
import costAware from './cost-aware.ts';
import cpuOnlyScheduler from './cpu-only-scheduler.ts';
import dataLocality from './data-locality.ts';
import gpuFragmentationAware from './gpu-fragmentation-aware.ts';
import leastLoaded from './least-loaded.ts';
import multiGpuLlm from './multi-gpu-llm.ts';
import spread from './spread.ts';
import topologyAware from './topology-aware.ts';
import yoloGpuScheduler from './yolo-gpu-scheduler.ts';

/** One line a file of this folder. */
export const resourceAllocators = [
  binPack,
  costAware,
  cpuOnlyScheduler,
  dataLocality,
  gpuFragmentationAware,
  leastLoaded,
  multiGpuLlm,
  spread,
  topologyAware,
  yoloGpuScheduler,
] as const satisfies readonly Policy<'resourceAllocator'>[];
