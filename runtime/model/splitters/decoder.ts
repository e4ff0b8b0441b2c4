import { join } from 'node:path';
import { type Problem, SplitError } from '../../../sdk/errors.ts';
import type { ArtifactFile } from '../../../sdk/spec/common.ts';
import {
  defineSplitter,
  type ModelOutline,
  type ShardAmounts,
  type SplitContext,
} from '../../../sdk/splitter.ts';
import {
  assertUnchanged,
  type Checkpoint,
  type CheckpointTensor,
  openCheckpoint,
} from '../checkpoint.ts';
import { architectures } from '../decoder/architectures.ts';
import { cacheHeadSize } from '../decoder/attention.ts';
import { checkWeights } from '../decoder/check-weights.ts';
import {
  type DecoderConfig,
  isSupportedArchitecture,
  readArchitectures,
  readDecoderConfig,
} from '../decoder/config.ts';
import { outlineDecoder, stageAmounts } from '../decoder/outline.ts';
import { stageRanges, stageTensorsOf } from '../decoder/stage-range.ts';
import { hashBytes } from '../hash.ts';
import { type Conversion, defaultBlockSize } from '../quantize/weight-form.ts';
import { writeConverted } from '../quantize/write-converted.ts';
import { assertCuts } from '../split-cuts.ts';
import { identifyShards } from '../split-identity.ts';
import { createSplitPlan, modelNameOf, type PlannedShard, shardFolder } from '../split-plan.ts';
import { invalidModel } from '../split-problems.ts';
import {
  assertNotCancelled,
  graphFileName,
  type WrittenShard,
  weightsFileName,
  writeShard,
} from '../split-shard.ts';
import { copyTokenizerFiles, findTokenizerFiles, tokenizerFolder } from '../split-tokenizer.ts';
import { convertedStage, graphOf, isAlready, layoutOf, type Stage } from './decoder-stages.ts';

interface CheckedModel {
  readonly config: DecoderConfig;
  readonly checkpoint: Checkpoint;
  readonly tokenizerFiles: readonly string[];
  readonly outline: ModelOutline;
  readonly stages: readonly Stage[];
  /** What was asked for; the weights may be so already. */
  readonly conversion?: Conversion;
  readonly converts: boolean;
}

interface WrittenModel extends CheckedModel {
  readonly written: readonly WrittenShard[];
}

const titles = [...architectures.values()].map(({ title }) => title).join(', ');

/** Builds ONNX stages straight from a decoder's checkpoint in the Hugging Face layout. Weights are linked, not copied. */
export const decoderSplitter = defineSplitter<CheckedModel, WrittenModel>({
  name: 'decoder',
  convertsWeights: true,
  description: `checkpoints in the Hugging Face layout, F32, F16 or BF16, of ${titles}.`,

  async accepts(modelFolder) {
    return (await readArchitectures(modelFolder)).some(isSupportedArchitecture);
  },

  async begin(context) {
    const { modelFolder, maxSessions } = context;
    context.progress(0, 'reading the headers');
    const problems: Problem[] = [];
    const config = await readDecoderConfig(modelFolder, problems);
    const checkpoint = await openCheckpoint(modelFolder, problems);
    // A tensor of a file that could not be read is not missing.
    if (config && problems.length === 0) problems.push(...checkWeights(config, checkpoint.tensors));
    const tokenizerFiles = await findTokenizerFiles(modelFolder, problems);
    if (!config || problems.length > 0) throw invalidModel(modelFolder, problems);

    const contextTokens = chosenContext(context, config);
    const name = modelNameOf(modelFolder);
    const { tensors } = checkpoint;
    const conversion = conversionOf(context);
    const outline = outlineDecoder({
      ...{ name, config, tensors, contextTokens, maxSessions },
      ...(conversion ? { conversion } : {}),
    });
    const firstLayers = assertCuts(await context.plan(outline), outline);
    const stages = stageRanges(config, firstLayers).map((range) => ({
      ...range,
      tensors: stageTensorsOf(config, range).flatMap((tensor) => tensors.get(tensor.name) ?? []),
    }));
    return {
      ...{ config, checkpoint, tokenizerFiles, outline, stages },
      ...(conversion ? { conversion } : {}),
      converts: conversion !== undefined && !isAlready(stages, conversion),
    };
  },

  shards: (model) => model.stages.map((stage) => amountsOf(model, stage)),

  resumeKey({ modelFolder }, { config, checkpoint, conversion, converts, outline, stages }) {
    if (!converts) return undefined;
    const sources = checkpoint.files.map(({ path, sizeBytes, modifiedNs }) => [
      ...[path, sizeBytes, modifiedNs],
    ]);
    const starts = stages.map(({ firstLayer }) => firstLayer);
    const what = [modelFolder, sources, config, conversion, outline.contextTokens, starts];
    return hashBytes(JSON.stringify(what));
  },

  async main(context, model) {
    const { conversion, converts, stages, tokenizerFiles } = model;
    if (conversion && converts) {
      const converted = stages.map((stage) => convertedStage(model, stage, conversion));
      await writeConverted(context, converted);
      assertNotCancelled(context.signal);
      await assertUnchanged(model.checkpoint);
      await copyTokenizerFiles(context.modelFolder, context.outFolder, tokenizerFiles);
      const files = [{ name: graphFileName }, { name: weightsFileName }];
      return {
        ...model,
        written: converted.map(({ graph }) => ({ identityGraph: graph, files })),
      };
    }
    const { outFolder, copy, signal } = context;
    const totalBytes = sumBytes(model.stages.flatMap(({ tensors }) => tensors));
    let doneBytes = 0;
    const written: WrittenShard[] = [];
    for (const [index, stage] of model.stages.entries()) {
      assertNotCancelled(signal);
      const onBytes = (bytes: number) => {
        doneBytes += bytes;
        context.progress(doneBytes / totalBytes, `copying the weights of shard ${index}`);
      };
      const folder = join(outFolder, shardFolder(index));
      const weights = { tensors: stage.tensors, encodeGraph: graphOf(model, stage) };
      const shard = await writeShard(weights, { folder, copy, signal, onBytes });
      written.push(shard);
      const how = shard.linkFault ? `copied, since linking failed: ${shard.linkFault}` : 'written';
      context.progress((index + 1) / model.stages.length, `shard ${index} ${how}`);
    }
    await copyTokenizerFiles(context.modelFolder, outFolder, tokenizerFiles);
    return { ...model, written };
  },

  async finish(context, model) {
    const { config, outline } = model;
    const { shards: identified, pending } = await identifyShards(
      context,
      model.written.map((shard, index) => {
        const tensors = model.stages[index]?.tensors ?? [];
        return model.converts ? shard : { ...shard, tensors };
      }),
    );
    const shards = model.stages.map((stage, index): PlannedShard => {
      const identity = identified[index];
      if (!identity) throw new SplitError('INTERNAL', `shard ${index} was not written.`);
      return { ...amountsOf(model, stage), ...identity, graph: graphFileName };
    });
    const tokenizerFiles: ArtifactFile[] = [];
    for (const name of model.tokenizerFiles) {
      const file = join(context.outFolder, tokenizerFolder, name);
      tokenizerFiles.push(await context.tools.describeFile(file));
    }
    const { hiddenSize, vocabularySize, keyValueHeads } = config;
    const plan = createSplitPlan({
      splitter: 'decoder',
      planner: context.planner,
      ...(model.conversion ? { conversion: model.conversion } : {}),
      outline,
      maxSessions: context.maxSessions,
      sizes: { hiddenSize, vocabularySize, keyValueHeads, headSize: cacheHeadSize(config) },
      endTokenIds: config.endTokenIds,
      ...(config.beginTokenId === undefined ? {} : { beginTokenId: config.beginTokenId }),
      tokenizerFiles,
      shards,
    });
    return pending ? { ...plan, pending } : plan;
  },
});

/** @throws {SplitError} REQUEST_INVALID - longer than the model was made for */
function chosenContext({ contextTokens }: SplitContext, config: DecoderConfig): number {
  if (contextTokens === undefined) return config.contextTokens;
  if (Number.isInteger(contextTokens) && contextTokens > 0 && contextTokens <= config.contextTokens)
    return contextTokens;
  throw new SplitError(
    'REQUEST_INVALID',
    `the context must be 1 to ${config.contextTokens} tokens, the model's own limit; got ${contextTokens}.`,
  );
}

function conversionOf({ dtype, blockSize }: SplitContext): Conversion | undefined {
  return dtype && { dtype, blockSize: blockSize ?? defaultBlockSize };
}

function amountsOf(
  { outline, conversion, converts }: CheckedModel,
  { tensors, ...range }: Stage,
): ShardAmounts {
  const fileBytes =
    conversion && converts
      ? layoutOf({ tensors, ...range }, conversion).fileBytes
      : sumBytes(tensors);
  return { ...range, fileBytes, ...stageAmounts(outline, range) };
}

const sumBytes = (tensors: readonly CheckpointTensor[]) =>
  tensors.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
