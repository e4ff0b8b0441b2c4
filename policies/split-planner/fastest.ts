import { z } from 'zod';
import type { HookInput } from '../../sdk/hooks.ts';
import { definePolicy } from '../../sdk/policy.ts';
import { fewest } from '../support/fewest.ts';
import { createSizer } from '../support/partition.ts';
import {
  type Costs,
  fastestAlong,
  fastestPipeline,
  type Pipeline,
  pipelineCosts,
} from '../support/pipeline.ts';
import { usualSpeed } from '../support/pipeline-costs.ts';
import { whyNotAndWhatWould } from '../support/would-fit.ts';

type Question = HookInput<'splitPlanner'>;

/** The search squares with the nodes: of 40 layers and no number of shards, 111 nodes. */
const searchedPairs = 5e5;
const mostLayers = 64;

/** Those that could hold most of the model and are fast at it, where there are more than can be searched. */
function promising({ model, nodes, shards = 1 }: Question): Question['nodes'] {
  const layers = Math.min(model.layers.length, mostLayers);
  const most = Math.max(mostLayers, shards, Math.floor(Math.sqrt(searchedPairs / layers / shards)));
  if (nodes.length <= most) return nodes;
  const whole = createSizer(model)(0, model.layers.length);
  const usual = usualSpeed(nodes);
  const use = ({ freeMemoryBytes, weightBytesPerSecond = usual }: Question['nodes'][number]) =>
    weightBytesPerSecond * Math.min(1, freeMemoryBytes / whole);
  return [...nodes].sort((a, b) => use(b) - use(a)).slice(0, most);
}

/** Where no order of the nodes that is searched fits: along those of the cut by memory alone, cut anew by time. */
function byMemory(question: Question, readers: number) {
  const { model, shards } = question;
  const largest = [...question.nodes].sort((a, b) => b.freeMemoryBytes - a.freeMemoryBytes);
  const sizes = largest.map((node) => node.freeMemoryBytes);
  const cut = shards === undefined ? fewest(model, sizes) : undefined;
  if (!cut) return undefined;
  const nodes = [...cut.shardBytes.keys()]
    .sort((a, b) => (cut.shardBytes[b] ?? 0) - (cut.shardBytes[a] ?? 0))
    .map((shard, rank) => ({ shard, node: largest[rank] }))
    .sort((a, b) => a.shard - b.shard)
    .flatMap(({ node }) => node ?? []);
  const found = fastestAlong(pipelineCosts({ ...question, nodes }), [...nodes.keys()], readers);
  return { nodes, firstLayers: cut.firstLayers, found };
}

const nameOf = (node: Question['nodes'][number] | undefined): string =>
  `${node?.clusterId ?? ''}/${node?.nodeId ?? ''}`;

/** What the next best number of shards would have cost, where one is best. */
function insteadOf(costs: Costs, { nodes, periodMs }: Pipeline, readers: number): string {
  const other = nodes.length === 1 ? fastestPipeline(costs, readers, 2) : undefined;
  if (!other || other.periodMs <= periodMs) return '';
  return `, against ${other.periodMs.toPrecision(3)} ms in two shards`;
}

/**
 * Choose it where nodes differ in speed, or links are slow: more shards are only taken where they make answers faster.
 *
 * Up to 12 nodes whose speed and links are measured, a node more never makes the plan slower; of more, what
 * {@link fastestPipeline} promises, while there are no more than are searched. What is not measured is taken as the median of
 * what is, which a node more may change. Where the reason says that not all orders were tried, a faster plan may exist.
 */
export default definePolicy({
  hook: 'splitPlanner',
  name: 'fastest',
  version: '1.0.0',
  description:
    'Cuts a model so that tokens come fastest, by the measured speed of nodes and links; leaves slow nodes out, and does not split where one node is best. Choose it where nodes or links differ.',
  parameters: z.strictObject({
    /** Answers at once that it is planned for: one waits for all shards in turn, many for the slowest alone. */
    readers: z.number().int().min(1).max(1024).default(1),
  }),
  settings: z.strictObject({}),
  evaluate(input, { parameters }) {
    const { shards } = input;
    if (input.nodes.length === 0) {
      if (shards === undefined || shards === 1)
        return { firstLayers: [0], reason: 'no nodes were named' };
      return {
        infeasible:
          'the planner fastest cuts by the speed of nodes, and none were named. Name a cluster (--fit CLUSTER), or cut evenly (--planner even).',
      };
    }
    const { readers } = parameters;
    const nodes = promising(input);
    const costs = pipelineCosts({ ...input, nodes });
    const every = (ms: number) => `a token every ${ms.toPrecision(3)} ms for ${readers} at once`;
    const found = fastestPipeline(costs, readers, shards);
    if (found) {
      const { periodMs, isProven } = found;
      const bound = isProven
        ? ''
        : `, the best of many orders of ${nodes.length} nodes, not of all`;
      return {
        firstLayers: [...found.firstLayers],
        nodes: found.nodes.map((at) => nameOf(nodes[at])),
        reason: `${every(periodMs)}${insteadOf(costs, found, readers)}${bound}`,
      };
    }
    const cut = byMemory(input, readers);
    if (!cut) return { infeasible: whyNotAndWhatWould(input) };
    const because = 'it barely fits, so memory says in which order of nodes';
    if (!cut.found) {
      return {
        firstLayers: [...cut.firstLayers],
        nodes: cut.nodes.map(nameOf),
        reason: `${because}, and where it is cut`,
      };
    }
    return {
      firstLayers: [...cut.found.firstLayers],
      nodes: cut.found.nodes.map((at) => nameOf(cut.nodes[at])),
      reason: `${every(cut.found.periodMs)}; ${because}`,
    };
  },
});
