import { link, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../../runtime/model/checkpoint.ts';
import { cacheHeadSize } from '../../runtime/model/decoder/attention.ts';
import { type DecoderConfig, readDecoderConfig } from '../../runtime/model/decoder/config.ts';
import { encodeStageGraph } from '../../runtime/model/decoder/stage-graph.ts';
import { type StageRange, stageRanges } from '../../runtime/model/decoder/stage-range.ts';
import type { StageExecutor, StageExecutorOptions } from '../../runtime/model/stage.ts';
import type { Problem } from '../../sdk/errors.ts';
import type { StageSpec } from '../../sdk/spec/component.ts';

export interface TestStage {
  readonly graphPath: string;
  readonly stage: StageSpec;
}

/** The stages of a model in a folder of their own, without a plan. */
export interface TestStages extends AsyncDisposable {
  readonly stages: readonly TestStage[];
}

/** Writes the stages of a model's folder, cut before each of `firstLayers` (the first of which is 0). */
export async function writeTestStages(
  modelFolder: string,
  firstLayers: readonly number[],
  maxSessions: number,
): Promise<TestStages> {
  const problems: Problem[] = [];
  const config = await readDecoderConfig(modelFolder, problems);
  const checkpoint = await openCheckpoint(modelFolder, problems);
  if (!config || problems.length > 0) throw new Error(JSON.stringify(problems));
  const folder = await mkdtemp(join(tmpdir(), 'aios-stages-'));
  const stages: TestStage[] = [];
  for (const [index, range] of stageRanges(config, firstLayers).entries()) {
    const stageFolder = join(folder, String(index));
    await mkdir(stageFolder);
    for (const file of checkpoint.files) await link(file.path, join(stageFolder, file.name));
    const graph = encodeStageGraph({
      config,
      range,
      contextTokens: config.contextTokens,
      place(name) {
        const tensor = checkpoint.tensors.get(name);
        if (!tensor) throw new Error(`no tensor ${name}`);
        const type = ({ F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const)[
          tensor.dtype as 'F32'
        ];
        const { offsetBytes, lengthBytes } = tensor;
        return { type, data: { location: tensor.file.name, offsetBytes, lengthBytes } };
      },
    });
    const graphPath = join(stageFolder, 'stage.onnx');
    await writeFile(graphPath, graph);
    const count = firstLayers.length;
    stages.push({ graphPath, stage: stageSpecOf(config, range, index, count, maxSessions) });
  }
  return {
    stages,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

function stageSpecOf(
  config: DecoderConfig,
  range: StageRange,
  index: number,
  count: number,
  maxSessions: number,
): StageSpec {
  const { hiddenSize, vocabularySize, keyValueHeads, contextTokens } = config;
  const headSize = cacheHeadSize(config);
  return {
    stageHash: `test-${index}-of-${count}`,
    index,
    count,
    ...range,
    ...{ hiddenSize, vocabularySize, keyValueHeads, headSize, contextTokens, maxSessions },
    graph: 'stage.onnx',
    files: [],
  };
}

export const greedySampling = {
  temperature: 0,
  topK: 0,
  topP: 1,
  repetitionPenalty: 1,
  seed: 0,
} satisfies StageExecutorSampling;
type StageExecutorSampling = Parameters<StageExecutor['open']>[1]['sampling'];

export interface AnswerRequest {
  readonly session: string;
  readonly promptTokens: readonly number[];
  readonly maxTokens: number;
  readonly endToken?: number;
  readonly sampling?: StageExecutorSampling;
  /** Rows of a prefill chunk. @default the whole prompt */
  readonly chunkRows?: number;
}

export interface Answer {
  readonly tokens: readonly number[];
  readonly top: readonly (readonly (readonly [token: number, logprob: number])[])[];
}

/** Runs one answer through the stages one after the other, as a pipeline of shards does. */
export async function answer(
  executors: readonly StageExecutor[],
  { session, promptTokens, maxTokens, endToken, sampling, chunkRows = 1e9 }: AnswerRequest,
): Promise<Answer> {
  for (const executor of executors) {
    executor.open(session, { promptTokens, sampling: sampling ?? greedySampling });
  }
  const tokens: number[] = [];
  const top: (readonly (readonly [number, number])[])[] = [];
  let position = 0;
  let chunk: readonly number[] = promptTokens.slice(0, chunkRows);
  while (tokens.length < maxTokens) {
    const rows = chunk.length;
    const sample = position + rows >= promptTokens.length;
    let input = new Uint8Array(Int32Array.from(chunk).buffer);
    for (const executor of executors) {
      const result = await executor.step({ session, position, rows, input, sample });
      if (result.type === 'activations') input = new Uint8Array(result.buffer, 512);
      if (result.type !== 'token') continue;
      tokens.push(result.token);
      if (result.top) top.push(result.top);
    }
    position += rows;
    const last = tokens.at(-1);
    if (last !== undefined && last === endToken) break;
    chunk = last === undefined ? promptTokens.slice(position, position + chunkRows) : [last];
  }
  for (const executor of executors) executor.closeSession(session);
  return { tokens, top };
}

export type { StageExecutorOptions };
