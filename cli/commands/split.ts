import { relative } from 'node:path';
import { AiosError } from '../../sdk/errors.ts';
import { type PendingHashes, weightDtype } from '../../sdk/spec/plan.ts';
import { formatBytes } from '../../sdk/units.ts';
import { defineCommand } from '../command.ts';
import { cutOptions } from '../cut-options.ts';
import { numeric } from '../numbers.ts';
import { renderCuts, renderShards } from '../shards.ts';
import { describeFit, type Planned, renderFit } from '../split-fit.ts';
import { assertSplitUsage } from '../split-usage.ts';

const bytesOf = ({ files }: PendingHashes) =>
  files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

export const split = defineCommand({
  usage: 'split <model>',
  summary: 'Cuts a model into shards, one ONNX stage each; copies no weights it need not convert',
  examples: [
    ['aios split models/tiny-assistant --shards 3 --out plan', 'three parts of equal size'],
    ['aios split models/tiny-assistant --fit edge --out plan', 'as few as fit a cluster’s nodes'],
    ['aios split models/big --dtype int4 --fit edge --dry-run', 'what it would take, and where'],
    [
      'aios split models/big --dtype int4 --shards 3 --out plan',
      'a quarter of the memory, and faster',
    ],
    ['aios split detector.onnx --shards 2 --out plan', 'any ONNX graph, weights used as they lie'],
    ['aios split my-model --splitter ./my-splitter.ts --out plan', 'your own way to cut'],
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
        describe: 'Folder for the stages and plan.json',
      })
      .option('shards', cutOptions.shards)
      .option('cut', cutOptions.cut)
      .option('fit', cutOptions.fit)
      .option('planner', {
        type: 'string',
        describe: 'The policy that cuts: a built-in’s URI, or a file of yours',
        defaultDescription: 'fastest where nodes were measured, else memory-aware',
      })
      .option('splitter', {
        type: 'string',
        nargs: 1,
        describe: 'A splitter of yours, a file; it says itself which models it takes',
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
      .option('dtype', {
        choices: weightDtype.options,
        describe: 'What weights are converted to; int8 and int4 are in blocks with a scale each',
        defaultDescription: 'used as they lie',
      })
      .option('block', {
        ...numeric('--block', { least: 16, most: 256, whole: true }),
        describe: 'Numbers that share a scale: more take less memory, and lose more',
        defaultDescription: '32',
      })
      .option('evaluate', {
        type: 'string',
        nargs: 1,
        describe:
          'Then read this text with the split and the model, and say how far they are apart',
      })
      .option('dry-run', {
        type: 'boolean',
        describe: 'Print the plan, sizes and fit, and write nothing',
      })
      .option('copy', {
        type: 'boolean',
        describe: 'Copy each shard’s weights, to ship the folder',
      }),
  async run(args, context) {
    await assertSplitUsage(context, args);
    const { previewForNodes, splitForNodes } = await import('../split-model.ts');
    let planned: Planned | undefined;
    const onPlanned = (answer: Planned): void => {
      planned = answer;
    };
    if (args.dryRun) {
      const { describeSplit, renderSplit } = await import('../split-preview.ts');
      const preview = await previewForNodes(context, { ...args, onPlanned });
      const fit = planned && describeFit(planned);
      context.result({ ...describeSplit(preview), ...(fit ? { fit } : {}) }, () =>
        [renderSplit(preview, context), ...renderFit(planned)].join('\n'),
      );
      return;
    }
    const { out } = args;
    if (out === undefined) {
      throw new AiosError('REQUEST_INVALID', 'name a folder for the shards: --out plan');
    }
    // A split may take long: what cannot be read is said before it.
    const text = args.evaluate === undefined ? undefined : await context.readText(args.evaluate);
    const plan = await splitForNodes(context, { ...args, out, onPlanned });
    const fit = planned && describeFit(planned);
    const error = text === undefined ? undefined : await evaluated(text);
    const { pending, ...documents } = plan;
    const result = {
      ...{ ...documents, folder: context.path(out) },
      ...(pending ? { pending: { files: pending.files } } : {}),
      ...(fit ? { fit } : {}),
      ...(error ? { evaluation: error.evaluation } : {}),
    };
    context.result(result, () =>
      [
        renderShards(plan, context),
        ...renderCuts(plan),
        ...(error ? ['', error.table] : []),
        '',
        ...renderFit(planned),
        `written to ${out}${!fit && plan.shards.length === 1 ? ': not split, one shard is fastest where it fits' : ''}`,
        ...(pending
          ? [`${formatBytes(bytesOf(pending))} of weights are hashed by create-plan`]
          : []),
        `run it: aios create-plan ${relative(context.io.cwd, context.path(out)) || '.'} --wait`,
      ].join('\n'),
    );

    async function evaluated(text: string) {
      const { evaluateHere, renderEvaluation } = await import('../evaluate.ts');
      const folders = { plan: String(out), against: args.model };
      const evaluation = await evaluateHere(context, { ...folders, text });
      return { evaluation, table: renderEvaluation(evaluation, folders, context) };
    }
  },
});
