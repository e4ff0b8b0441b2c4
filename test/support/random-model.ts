import { mkdir, open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { characterTokenizer } from './checkpoint.ts';

export type RandomDtype = 'F32' | 'F16' | 'BF16';

/** A decoder's sizes, as its `config.json` says them. */
export interface RandomModelSizes {
  readonly family: 'llama' | 'mistral' | 'qwen2';
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly contextTokens: number;
  readonly tied: boolean;
}

/** Shapes of models that people run, and of the small one that benchmarks began with. */
export const randomModelSizes = {
  '103m': {
    ...{ family: 'llama', vocabularySize: 768, hiddenSize: 768, intermediateSize: 2048 },
    ...{ layers: 16, heads: 12, keyValueHeads: 4, contextTokens: 1024, tied: true },
  },
  /** Qwen2-0.5B: 494 million parameters. */
  '0.5b': {
    ...{ family: 'qwen2', vocabularySize: 151_936, hiddenSize: 896, intermediateSize: 4864 },
    ...{ layers: 24, heads: 14, keyValueHeads: 2, contextTokens: 32_768, tied: true },
  },
  /** Mistral-7B. */
  '7b': {
    ...{ family: 'mistral', vocabularySize: 32_000, hiddenSize: 4096, intermediateSize: 14_336 },
    ...{ layers: 32, heads: 32, keyValueHeads: 8, contextTokens: 32_768, tied: false },
  },
} as const satisfies Record<string, RandomModelSizes>;
export type RandomModelName = keyof typeof randomModelSizes;

export interface RandomModelOptions {
  readonly dtype?: RandomDtype;
  readonly seed?: number;
  /** Safetensors files; more than one come with an index. */
  readonly files?: number;
}

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
}

const chunkElements = 2 ** 20;
const bytesOf = { F32: 4, F16: 2, BF16: 2 } as const;
const architectures = {
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
} as const;

const elements = ({ shape }: Tensor) => shape.reduce((product, size) => product * size, 1);

/** How many numbers a model of these sizes has. */
export const parameterCount = (sizes: RandomModelSizes): number =>
  tensorsOf(sizes).reduce((sum, tensor) => sum + elements(tensor), 0);

/**
 * A random checkpoint of one of the known sizes, written once and kept in the system's folder for temporary files.
 *
 * @returns its folder
 */
export async function randomModel(
  name: RandomModelName,
  { dtype = 'F32', seed = 1, files = 1 }: RandomModelOptions = {},
): Promise<string> {
  const parent = join(tmpdir(), 'aios-random-models');
  const folder = join(parent, `random-${name}-${dtype.toLowerCase()}-${seed}-${files}`);
  if (await stat(join(folder, 'config.json')).catch(() => undefined)) return folder;
  const staging = `${folder}.${process.pid}`;
  await rm(staging, { recursive: true, force: true });
  try {
    await writeRandomModel(staging, randomModelSizes[name], { dtype, seed, files });
    await rename(staging, folder);
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    // Another run may have been quicker.
    if (!(await stat(join(folder, 'config.json')).catch(() => undefined))) throw error;
  }
  return folder;
}

/** Writes a random checkpoint as Hugging Face lays it out, a few megabytes at a time: any size in little memory. */
export async function writeRandomModel(
  folder: string,
  sizes: RandomModelSizes,
  { dtype = 'F32', seed = 1, files = 1 }: RandomModelOptions = {},
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const tensors = tensorsOf(sizes);
  const random = createBits(seed);
  const perFile = Math.ceil(tensors.length / files);
  const number = (index: number) => String(index).padStart(5, '0');
  const weightMap: Record<string, string> = {};
  for (let file = 0; file < files; file += 1) {
    const part = tensors.slice(file * perFile, (file + 1) * perFile);
    const name =
      files === 1
        ? 'model.safetensors'
        : `model-${number(file + 1)}-of-${number(files)}.safetensors`;
    for (const tensor of part) weightMap[tensor.name] = name;
    await writeTensors(join(folder, name), part, dtype, random);
  }
  if (files > 1) {
    const index = { metadata: {}, weight_map: weightMap };
    await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
  }
  const tokenizer = characterTokenizer(sizes.vocabularySize);
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  await writeFile(join(folder, 'config.json'), JSON.stringify(configOf(sizes)));
}

async function writeTensors(
  path: string,
  tensors: readonly Tensor[],
  dtype: RandomDtype,
  random: () => number,
): Promise<void> {
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const tensor of tensors) {
    const bytes = elements(tensor) * bytesOf[dtype];
    header[tensor.name] = { dtype, shape: tensor.shape, data_offsets: [end, end + bytes] };
    end += bytes;
  }
  const text = JSON.stringify(header);
  const padded = text.padEnd(Math.ceil(text.length / 8) * 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));

  const file = await open(path, 'w');
  const numbers = new Float32Array(chunkElements);
  const halves = new Uint16Array(chunkElements);
  try {
    await file.write(Buffer.concat([length, Buffer.from(padded)]));
    for (const tensor of tensors) {
      const count = elements(tensor);
      for (let done = 0; done < count; done += chunkElements) {
        const part = numbers.subarray(0, Math.min(chunkElements, count - done));
        fill(part, tensor, random);
        const coded = dtype === 'F32' ? part : narrow(part, halves, dtype);
        await file.writeFile(new Uint8Array(coded.buffer, 0, coded.byteLength));
      }
    }
  } finally {
    await file.close();
  }
}

/** Weights that keep what passes through them at its size, norms about one, biases about none. */
function fill(into: Float32Array, { name, shape }: Tensor, random: () => number): void {
  const [center, reach] = name.includes('norm')
    ? [1, 0.1]
    : shape.length === 1
      ? [0, 0.1]
      : [0, Math.sqrt(3 / (shape[1] ?? 1))];
  const scale = (2 * reach) / 2 ** 32;
  for (let at = 0; at < into.length; at += 1) into[at] = center - reach + random() * scale;
}

/** Rounds toward zero; what a half cannot hold becomes zero. */
function narrow(from: Float32Array, into: Uint16Array, dtype: 'F16' | 'BF16'): Uint16Array {
  const bits = new Uint32Array(from.buffer, from.byteOffset, from.length);
  for (let at = 0; at < bits.length; at += 1) {
    const word = bits[at] ?? 0;
    if (dtype === 'BF16') into[at] = word >>> 16;
    else {
      const exponent = ((word >>> 23) & 0xff) - 112;
      const rest = exponent > 0 ? (exponent << 10) | ((word >>> 13) & 0x3ff) : 0;
      into[at] = ((word >>> 16) & 0x8000) | rest;
    }
  }
  return into.subarray(0, from.length);
}

/** @see Marsaglia, "Xorshift RNGs" (2003) */
function createBits(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

function tensorsOf(sizes: RandomModelSizes): Tensor[] {
  const { hiddenSize: hidden, intermediateSize: wide, vocabularySize, layers, family } = sizes;
  const headSize = hidden / sizes.heads;
  const keys = sizes.keyValueHeads * headSize;
  const layer: Readonly<Record<string, readonly number[]>> = {
    'self_attn.q_proj.weight': [hidden, hidden],
    'self_attn.k_proj.weight': [keys, hidden],
    'self_attn.v_proj.weight': [keys, hidden],
    ...(family === 'qwen2'
      ? {
          'self_attn.q_proj.bias': [hidden],
          'self_attn.k_proj.bias': [keys],
          'self_attn.v_proj.bias': [keys],
        }
      : {}),
    'self_attn.o_proj.weight': [hidden, hidden],
    'mlp.gate_proj.weight': [wide, hidden],
    'mlp.up_proj.weight': [wide, hidden],
    'mlp.down_proj.weight': [hidden, wide],
    'input_layernorm.weight': [hidden],
    'post_attention_layernorm.weight': [hidden],
  };
  const table = [vocabularySize, hidden];
  return [
    { name: 'model.embed_tokens.weight', shape: table },
    ...Array.from({ length: layers }, (_, index) =>
      Object.entries(layer).map(([part, shape]) => ({
        name: `model.layers.${index}.${part}`,
        shape,
      })),
    ).flat(),
    { name: 'model.norm.weight', shape: [hidden] },
    ...(sizes.tied ? [] : [{ name: 'lm_head.weight', shape: table }]),
  ];
}

const configOf = (sizes: RandomModelSizes) => ({
  architectures: [architectures[sizes.family]],
  model_type: sizes.family,
  vocab_size: sizes.vocabularySize,
  hidden_size: sizes.hiddenSize,
  intermediate_size: sizes.intermediateSize,
  num_hidden_layers: sizes.layers,
  num_attention_heads: sizes.heads,
  num_key_value_heads: sizes.keyValueHeads,
  max_position_embeddings: sizes.contextTokens,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  tie_word_embeddings: sizes.tied,
  hidden_act: 'silu',
  eos_token_id: 2,
  bos_token_id: null,
  ...(sizes.family === 'mistral' ? { sliding_window: null } : {}),
});
