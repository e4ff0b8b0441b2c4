import { z } from 'zod';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import { definePolicy } from '../../sdk/policy.ts';
import type { ResourceAmounts } from '../../sdk/spec/common.ts';
import { allocate, allocatorParameters } from '../support/allocate.ts';
import { nodeColumns } from '../support/node-columns.ts';

const gpuBytes = (gpus: readonly { readonly memoryBytes: number }[]): number => {
  let bytes = 0;
  for (const { memoryBytes } of gpus) bytes += memoryBytes;
  return bytes;
};

const none = new Float64Array();
const freeColumns = nodeColumns(
  (node) => node.free.memoryBytes,
  (node) => node.free.cpuCores,
  (node) => gpuBytes(node.free.gpus),
);

/** The share of what is left on a node that one instance takes, over the amounts it asks for: 1 fills it exactly. */
function filling(wanted: ResourceAmounts) {
  const memory = wanted.memoryBytes;
  const cores = wanted.cpuCores;
  const gpu = gpuBytes(wanted.gpus);
  const asked = Number(memory > 0) + Number(cores > 0) + Number(gpu > 0);
  const each = 1 / Math.max(1, asked);
  const share = (freeMemory: number, freeCores: number, freeGpu: number): number =>
    each *
    ((memory > 0 ? memory / freeMemory : 0) +
      (cores > 0 ? cores / freeCores : 0) +
      (gpu > 0 ? gpu / freeGpu : 0));
  return {
    rank: ({ free }: NodeSnapshot) => share(free.memoryBytes, free.cpuCores, gpuBytes(free.gpus)),
    rankAll(nodes: readonly NodeSnapshot[]): number[] {
      const [memories = none, coresFree = none, gpus = none] = freeColumns(nodes);
      const scores = new Array<number>(nodes.length);
      for (let at = 0; at < nodes.length; at += 1) {
        scores[at] = share(memories[at] as number, coresFree[at] as number, gpus[at] as number);
      }
      return scores;
    },
  };
}

/** The default: use it unless instances must be apart or the machines' real load matters. */
export default definePolicy({
  hook: 'resourceAllocator',
  name: 'bin-pack',
  version: '1.0.0',
  description:
    'Fills the fullest node that fits, so that large nodes stay free for large blocks. Choose it to use few machines.',
  parameters: allocatorParameters,
  settings: z.strictObject({}),
  evaluate(input, { parameters }) {
    const { rank, rankAll } = filling(input.block.resources);
    return allocate(input, parameters, rank, rankAll);
  },
});
