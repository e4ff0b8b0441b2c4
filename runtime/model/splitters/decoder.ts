import { join } from 'node:path';
import { type Problem, SplitError } from '../../../sdk/errors.ts';
import type { ArtifactFile } from '../../../sdk/spec/common.ts';
import { defineSplitter, type ModelOutline, type SplitContext } from '../../../sdk/splitter.ts';
import { type Checkpoint, type CheckpointTensor, openCheckpoint } from '../checkpoint.ts';
import { architectures } from '../decoder/architectures.ts';
import { cacheHeadSize } from '../decoder/attention.ts';
import { checkWeights, isWeightType, weightTypes } from '../decoder/check-weights.ts';
import {
  type DecoderConfig,
  isSupportedArchitecture,
  readArchitectures,
  readDecoderConfig,
} from '../decoder/config.ts';
import { outlineDecoder, stageAmounts } from '../decoder/outline.ts';
import { encodeStageGraph } from '../decoder/stage-graph.ts';
import { type StageRange, stageRanges, stageTensorsOf } from '../decoder/stage-range.ts';
import type { ExternalData } from '../onnx/model.ts';
import { type ArtifactHasher, createArtifactHasher, stageHash } from '../split-identity.ts';
import { createSplitPlan, modelNameOf, type PlannedShard, shardFolder } from '../split-plan.ts';
import { invalidModel } from '../split-problems.ts';
import {
  assertNotCancelled,
  graphFileName,
  type WrittenShard,
  writeShard,
} from '../split-shard.ts';
import { copyTokenizerFiles, findTokenizerFiles, tokenizerFolder } from '../split-tokenizer.ts';

interface Stage extends StageRange {
  /** Each once, in the order of use. */
  readonly tensors: readonly CheckpointTensor[];
}

interface CheckedModel {
  readonly config: DecoderConfig;
  readonly checkpoint: Checkpoint;
  readonly tokenizerFiles: readonly string[];
  readonly outline: ModelOutline;
  readonly stages: readonly Stage[];
}

interface WrittenModel extends CheckedModel {
  readonly written: readonly { readonly stage: Stage; readonly shard: WrittenShard }[];
}

const titles = [...architectures.values()].map(({ title }) => title).join(', ');

/** Builds ONNX stages straight from a decoder's checkpoint in the Hugging Face layout. Weights are linked, not copied. */
export const decoderSplitter = defineSplitter<CheckedModel, WrittenModel>({
  name: 'decoder',
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
    const outline = outlineDecoder({ name, config, tensors, contextTokens, maxSessions });
    const stages = stageRanges(config, await context.plan(outline)).map((range) => ({
      ...range,
      tensors: stageTensorsOf(config, range).flatMap((tensor) => tensors.get(tensor.name) ?? []),
    }));
    return { config, checkpoint, tokenizerFiles, outline, stages };
  },

  async main(context, model) {
    const { outFolder, copy, signal } = context;
    const totalBytes = sumBytes(model.stages.flatMap(({ tensors }) => tensors));
    let doneBytes = 0;
    const written: { stage: Stage; shard: WrittenShard }[] = [];
    for (const [index, stage] of model.stages.entries()) {
      assertNotCancelled(signal);
      const onBytes = (bytes: number) => {
        doneBytes += bytes;
        context.progress(doneBytes / totalBytes, `copying the weights of shard ${index}`);
      };
      const folder = join(outFolder, shardFolder(index));
      const weights = { tensors: stage.tensors, encodeGraph: graphOf(model, stage) };
      const shard = await writeShard(weights, { folder, copy, signal, onBytes });
      written.push({ stage, shard });
      const how = shard.linkFault ? `copied, since linking failed: ${shard.linkFault}` : 'written';
      context.progress((index + 1) / model.stages.length, `shard ${index} ${how}`);
    }
    await copyTokenizerFiles(context.modelFolder, outFolder, model.tokenizerFiles);
    return { ...model, written };
  },

  async finish(context, model) {
    const { config, outline } = model;
    const hash = createArtifactHasher(context, bytesToHash(model));
    const shards: PlannedShard[] = [];
    for (const [index, { stage, shard }] of model.written.entries()) {
      shards.push(await planShard(context.outFolder, index, outline, stage, shard, hash));
    }
    const tokenizerFiles: ArtifactFile[] = [];
    for (const name of model.tokenizerFiles) {
      tokenizerFiles.push(await hash(join(context.outFolder, tokenizerFolder, name), name));
    }
    const { hiddenSize, vocabularySize, keyValueHeads } = config;
    return createSplitPlan({
      splitter: 'decoder',
      planner: context.planner,
      outline,
      maxSessions: context.maxSessions,
      sizes: { hiddenSize, vocabularySize, keyValueHeads, headSize: cacheHeadSize(config) },
      endTokenIds: config.endTokenIds,
      ...(config.beginTokenId === undefined ? {} : { beginTokenId: config.beginTokenId }),
      tokenizerFiles,
      shards,
    });
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

function graphOf({ config, outline }: CheckedModel, stage: Stage) {
  const tensors = new Map(stage.tensors.map((tensor) => [tensor.name, tensor]));
  return (dataOf: (tensor: CheckpointTensor) => ExternalData) =>
    encodeStageGraph({
      config,
      range: stage,
      contextTokens: outline.contextTokens,
      place: (name) => {
        const tensor = tensors.get(name);
        if (!tensor || !isWeightType(tensor.dtype)) {
          throw new SplitError('INTERNAL', `tensor '${name}' was not checked before its use.`);
        }
        return { type: weightTypes[tensor.dtype], data: dataOf(tensor) };
      },
    });
}

async function planShard(
  outFolder: string,
  index: number,
  outline: ModelOutline,
  { tensors, ...range }: Stage,
  { identityGraph, files }: WrittenShard,
  hash: ArtifactHasher,
): Promise<PlannedShard> {
  const artifacts: ArtifactFile[] = [];
  for (const { name, source } of files) {
    artifacts.push(await hash(source?.path ?? join(outFolder, shardFolder(index), name), name));
  }
  return {
    ...range,
    fileBytes: sumBytes(tensors),
    ...stageAmounts(outline, range),
    stageHash: await stageHash(identityGraph, tensors, hash),
    graph: graphFileName,
    files: artifacts,
  };
}

/** Every checkpoint file once, and what was copied. */
function bytesToHash({ checkpoint, written }: WrittenModel): number {
  const copied = written.filter(({ shard }) => shard.files.every(({ source }) => !source));
  return (
    checkpoint.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) +
    sumBytes(copied.flatMap(({ stage }) => stage.tensors))
  );
}

const sumBytes = (tensors: readonly CheckpointTensor[]) =>
  tensors.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
