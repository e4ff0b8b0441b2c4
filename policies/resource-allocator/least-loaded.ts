import { z } from 'zod';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import { definePolicy } from '../../sdk/policy.ts';
import { allocate, allocatorParameters } from '../support/allocate.ts';
import { nodeColumns } from '../support/node-columns.ts';

type Load = 'cpu' | 'load1m';

const coresOf = ({ capacity, measured }: NodeSnapshot, load: Load): number =>
  ((load === 'cpu' ? measured?.cpuUsedCores : measured?.load1m) ?? 0) /
  Math.max(capacity.cpuCores, Number.MIN_VALUE);

function deviceLoad({ gpus }: NodeSnapshot): number {
  let sum = 0;
  for (const { utilizationFraction } of gpus) sum += utilizationFraction;
  return sum / Math.max(1, gpus.length);
}

const promisedFraction = ({ capacity, free }: NodeSnapshot): number =>
  1 - free.memoryBytes / Math.max(1, capacity.memoryBytes);

/**
 * 1 for an idle node. What is in use is the scarcer of cores and the mean of the devices; measurements lag behind promises,
 * and without these a burst of placements would pile up on one node.
 */
const idleness = (cores: number, devices: number, promised: number): number =>
  1 - (0.75 * Math.min(1, Math.max(cores, devices)) + 0.25 * promised);

const none = new Float64Array();
const columnsOf = (load: Load) =>
  nodeColumns((node) => coresOf(node, load), deviceLoad, promisedFraction);
const columnsBy = { cpu: columnsOf('cpu'), load1m: columnsOf('load1m') };

const ranking = (load: Load) => ({
  rank: (node: NodeSnapshot) =>
    idleness(coresOf(node, load), deviceLoad(node), promisedFraction(node)),
  rankAll(nodes: readonly NodeSnapshot[]): number[] {
    const [cores = none, devices = none, promised = none] = columnsBy[load](nodes);
    const scores = new Array<number>(nodes.length);
    for (let at = 0; at < nodes.length; at += 1) {
      scores[at] = idleness(cores[at] as number, devices[at] as number, promised[at] as number);
    }
    return scores;
  },
});

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
  evaluate(input, { parameters, settings }) {
    const { rank, rankAll } = ranking(settings.load);
    return allocate(input, parameters, rank, rankAll);
  },
});
