import { relative } from 'node:path';
import { defineCommand } from '../command.ts';
import { numeric } from '../numbers.ts';
import { renderCuts, renderShards } from '../shards.ts';

export const split = defineCommand({
  usage: 'split <model>',
  summary: 'Cuts a model into shards, one ONNX stage each; copies no weights',
  examples: [
    ['aios split models/tiny-assistant --shards 3 --out plan', 'three parts of equal size'],
    ['aios split models/tiny-assistant --fit edge --out plan', 'as few as fit a cluster’s nodes'],
    ['aios split detector.onnx --shards 2 --out plan', 'any ONNX graph, weights used as they lie'],
    ['aios split models/big --fit a --fit b --planner ./my-planner.ts --out plan', 'your own cuts'],
  ],
  options: (parser) =>
    parser
      .positional('model', {
        type: 'string',
        demandOption: true,
        describe: 'A folder with config.json and *.safetensors, or an .onnx file',
      })
      .option('out', {
        type: 'string',
        demandOption: true,
        describe: 'Folder for the stages and plan.json',
      })
      .option('shards', { ...numeric('--shards', { least: 1, whole: true }), describe: 'How many' })
      .option('cut', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'Tensors of an ONNX graph to cut at, separated by commas; may be repeated',
      })
      .option('fit', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'A cluster whose nodes’ free memory they must fit; may be repeated',
      })
      .option('planner', {
        type: 'string',
        describe: 'The policy that cuts: a built-in’s URI, or a file of yours',
        defaultDescription: 'memory-aware',
      })
      .option('max-sessions', {
        ...numeric('--max-sessions', { least: 1, whole: true }),
        describe: 'Answers at once: each has its KV cache in every shard',
        defaultDescription: '8',
      })
      .option('context', {
        ...numeric('--context', { least: 1, whole: true }),
        describe: 'Longest prompt and answer together, in tokens',
        defaultDescription: 'what the model was made for',
      })
      .option('copy', {
        type: 'boolean',
        describe: 'Copy each shard’s weights, to ship the folder',
      }),
  async run(args, context) {
    const { splitForNodes } = await import('../split-model.ts');
    const plan = await splitForNodes(context, args);
    context.result({ ...plan, folder: context.path(args.out) }, () =>
      [
        renderShards(plan, context),
        ...renderCuts(plan),
        '',
        `written to ${args.out}${plan.shards.length === 1 ? ': not split, one shard is fastest where it fits' : ''}`,
        `run it: aios create-plan ${relative(context.io.cwd, context.path(args.out)) || '.'} --wait`,
      ].join('\n'),
    );
  },
});
