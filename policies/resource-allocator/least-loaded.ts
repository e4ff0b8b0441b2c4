import { z } from 'zod';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import { definePolicy } from '../../sdk/policy.ts';
import { allocate, allocatorParameters } from '../support/allocate.ts';

/** 0 to 1: what is in use already, the scarcer of cores and the mean of the devices. */
function measuredLoad({ capacity, measured, gpus }: NodeSnapshot, load: 'cpu' | 'load1m'): number {
  const cores = load === 'cpu' ? measured?.cpuUsedCores : measured?.load1m;
  const cpu = (cores ?? 0) / Math.max(capacity.cpuCores, Number.MIN_VALUE);
  const gpu =
    gpus.reduce((sum, device) => sum + device.utilizationFraction, 0) / Math.max(1, gpus.length);
  return Math.min(1, Math.max(cpu, gpu));
}

const promisedFraction = ({ capacity, free }: NodeSnapshot): number =>
  1 - free.memoryBytes / Math.max(1, capacity.memoryBytes);

/** Choose it where what is promised says little about what machines do: bursty blocks, machines shared with others. */
export default definePolicy({
  hook: 'resourceAllocator',
  name: 'least-loaded',
  version: '1.0.0',
  description:
    'Puts each instance on the node whose processors and GPUs are least busy as measured. Choose it for bursty blocks and shared machines.',
  parameters: allocatorParameters,
  settings: z.strictObject({
    /** `cpu`: cores used by our processes; `load1m`: the machine's load average, other people's processes included. */
    load: z.enum(['cpu', 'load1m']).default('cpu'),
  }),
  evaluate: (input, { parameters, settings }) =>
    allocate(input, parameters, (node) => {
      // Measurements lag behind promises: without the second term a burst of placements would pile up on one node.
      const busy = 0.75 * measuredLoad(node, settings.load) + 0.25 * promisedFraction(node);
      return 1 - busy;
    }),
});
