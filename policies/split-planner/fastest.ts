import { z } from 'zod';
import type { HookInput } from '../../sdk/hooks.ts';
import { definePolicy } from '../../sdk/policy.ts';
import { fewest } from '../support/fewest.ts';
import { createSizer } from '../support/partition.ts';
import { type Costs, fastestPipeline, type Pipeline, pipelineCosts } from '../support/pipeline.ts';
import { whyNotAndWhatWould } from '../support/would-fit.ts';

type Question = HookInput<'splitPlanner'>;

/** The search doubles with each node, and squares with the layers. */
const maxNodes = 6;
const maxUnits = 40;

/** Neighbouring layers as one, so that there are few enough. */
function inUnits({ model, ...rest }: Question) {
  const size = Math.ceil(model.layers.length / maxUnits);
  const firstLayers: number[] = [];
  const layers: Question['model']['layers'][number][] = [];
  for (let from = 0; from < model.layers.length; from += size) {
    const unit = model.layers.slice(from, from + size);
    firstLayers.push(from);
    layers.push({
      residentBytes: unit.reduce((sum, layer) => sum + layer.residentBytes, 0),
      kvBytes: unit.reduce((sum, layer) => sum + layer.kvBytes, 0),
    });
  }
  return { question: { ...rest, model: { ...model, layers } }, firstLayers };
}

/** Those that could hold most of the model and are fast at it. */
function promising({ model, nodes }: Question): Question['nodes'] {
  const whole = createSizer(model)(0, model.layers.length);
  const use = ({ freeMemoryBytes, weightBytesPerSecond = 1 }: Question['nodes'][number]) =>
    weightBytesPerSecond * Math.min(1, freeMemoryBytes / whole);
  return [...nodes].sort((a, b) => use(b) - use(a)).slice(0, maxNodes);
}

/** What the next best number of shards would have cost, where one is best. */
function insteadOf(costs: Costs, { nodes, periodMs }: Pipeline, readers: number): string {
  const other = nodes.length === 1 ? fastestPipeline(costs, readers, 2) : undefined;
  if (!other || other.periodMs <= periodMs) return '';
  return `, against ${other.periodMs.toPrecision(3)} ms in two shards`;
}

/** Choose it where nodes differ in speed, or links are slow: more shards are only taken where they make answers faster. */
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
    const { model, shards } = input;
    if (input.nodes.length === 0) return { firstLayers: [0], reason: 'no nodes were named' };
    const nodes = promising(input);
    const { question, firstLayers } = inUnits({ ...input, nodes });
    const costs = pipelineCosts(question);
    const found = fastestPipeline(costs, parameters.readers, shards);
    if (!found) {
      const sizes = input.nodes.map((node) => node.freeMemoryBytes).sort((a, b) => b - a);
      const cut = shards === undefined ? fewest(model, sizes) : undefined;
      if (!cut) return { infeasible: whyNotAndWhatWould(input) };
      const reason = `it needs more than the ${nodes.length} nodes whose order can be searched: cut by memory alone`;
      return { firstLayers: [...cut.firstLayers], reason };
    }
    const named = found.nodes.map((at) => {
      const { clusterId = '', nodeId = '' } = nodes[at] ?? {};
      return `${clusterId}/${nodeId}`;
    });
    return {
      firstLayers: found.firstLayers.map((unit) => firstLayers[unit] ?? 0),
      nodes: named,
      reason: `a token every ${found.periodMs.toPrecision(3)} ms for ${parameters.readers} at once${insteadOf(costs, found, parameters.readers)}`,
    };
  },
});
