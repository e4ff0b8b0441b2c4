import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export type TestDtype = 'F32' | 'F16' | 'BF16';

export interface TestModelOptions {
  readonly seed?: number;
  readonly vocabularySize?: number;
  readonly hiddenSize?: number;
  readonly intermediateSize?: number;
  readonly layers?: number;
  readonly heads?: number;
  readonly keyValueHeads?: number;
  /** @default hiddenSize / heads, and then `head_dim` is left out of the config */
  readonly headSize?: number;
  readonly contextTokens?: number;
  readonly tied?: boolean;
  /** Of every tensor, or chosen for each. */
  readonly dtype?: TestDtype | ((tensor: string) => TestDtype);
  /** Safetensors files; more than one come with an index. */
  readonly files?: number;
  readonly ropeTheta?: number;
  /** Written into `config.json` over everything else. */
  readonly config?: Readonly<Record<string, unknown>>;
}

export interface TestTensor {
  readonly shape: readonly number[];
  /** As the checkpoint's type can hold them. */
  readonly values: Float32Array;
}

/** A checkpoint on disk, and the same numbers for a reference to compute with. */
export interface TestModel {
  readonly folder: string;
  readonly sizes: Required<Omit<TestModelOptions, 'dtype' | 'config' | 'seed' | 'files'>>;
  readonly tensors: ReadonlyMap<string, TestTensor>;
  /** `config.json`. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** Deterministic numbers in [0, 1). @see https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Writes a random Llama checkpoint in the Hugging Face layout, tokenizer included. */
export async function writeTestModel(
  folder: string,
  options: TestModelOptions = {},
): Promise<TestModel> {
  const sizes = fillDefaults(options);
  const config = { ...configOf(sizes, options.headSize !== undefined), ...options.config };
  return { sizes, ...(await writeCheckpoint(folder, config, llamaShapes(sizes), options)) };
}

/** Writes random tensors of these shapes, a config and a tokenizer. */
export async function writeCheckpoint(
  folder: string,
  config: TestModel['config'],
  shapes: readonly (readonly [name: string, shape: readonly number[]])[],
  options: Pick<TestModelOptions, 'seed' | 'dtype' | 'files'>,
): Promise<Omit<TestModel, 'sizes'>> {
  const random = createRandom(options.seed ?? 1);
  // Gemma stores how far a norm's weights are from one.
  const normCenter = String(config.model_type).startsWith('gemma') ? 0 : 1;
  const tensors = new Map<string, TestTensor>();
  for (const [name, shape] of shapes) {
    const center = name.includes('norm') ? normCenter : 0;
    tensors.set(name, { shape, values: randomValues(shape, center, random) });
  }

  await mkdir(folder, { recursive: true });
  const chosen = options.dtype ?? 'F32';
  const dtypeOf = typeof chosen === 'function' ? chosen : () => chosen;
  await writeWeights(folder, tensors, dtypeOf, options.files ?? 1);
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  const tokenizer = characterTokenizer(Number(config.vocab_size));
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  return { folder, tensors, config };
}

function fillDefaults(options: TestModelOptions): TestModel['sizes'] {
  const { hiddenSize = 32, heads = 4 } = options;
  return {
    vocabularySize: options.vocabularySize ?? 48,
    hiddenSize,
    intermediateSize: options.intermediateSize ?? 56,
    layers: options.layers ?? 4,
    heads,
    keyValueHeads: options.keyValueHeads ?? 2,
    headSize: options.headSize ?? hiddenSize / heads,
    contextTokens: options.contextTokens ?? 64,
    tied: options.tied ?? false,
    ropeTheta: options.ropeTheta ?? 10_000,
  };
}

/** Tensors in the order Hugging Face writes them. */
function llamaShapes(sizes: TestModel['sizes']): [name: string, shape: number[]][] {
  const { hiddenSize: hidden, intermediateSize: wide } = sizes;
  const queries = sizes.heads * sizes.headSize;
  const keys = sizes.keyValueHeads * sizes.headSize;
  const table = [sizes.vocabularySize, hidden];
  const layers = Array.from({ length: sizes.layers }, (_, layer) =>
    Object.entries({
      'self_attn.q_proj': [queries, hidden],
      'self_attn.k_proj': [keys, hidden],
      'self_attn.v_proj': [keys, hidden],
      'self_attn.o_proj': [hidden, queries],
      'mlp.gate_proj': [wide, hidden],
      'mlp.up_proj': [wide, hidden],
      'mlp.down_proj': [hidden, wide],
      input_layernorm: [hidden],
      post_attention_layernorm: [hidden],
    }).map(([part, shape]): [string, number[]] => [`model.layers.${layer}.${part}.weight`, shape]),
  );
  return [
    ['model.embed_tokens.weight', table],
    ...layers.flat(),
    ['model.norm.weight', [hidden]],
    ...(sizes.tied ? [] : [['lm_head.weight', table] as [string, number[]]]),
  ];
}

/**
 * Numbers with at most eight significant bits, so that every type holds them exactly.
 *
 * @param center - of the weights of norms and of biases
 */
function randomValues(
  shape: readonly number[],
  center: number,
  random: () => number,
): Float32Array {
  const count = shape.reduce((product, size) => product * size, 1);
  const isVector = shape.length === 1;
  const scale = 2 ** -Math.round(7 + Math.log2(shape.at(-1) ?? 1) / 2);
  return Float32Array.from({ length: count }, () =>
    isVector
      ? center + Math.round((random() - 0.5) * 64) / 128
      : Math.round((random() - 0.5) * 510) * scale,
  );
}

function configOf(sizes: TestModel['sizes'], withHeadSize: boolean) {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: sizes.vocabularySize,
    hidden_size: sizes.hiddenSize,
    intermediate_size: sizes.intermediateSize,
    num_hidden_layers: sizes.layers,
    num_attention_heads: sizes.heads,
    num_key_value_heads: sizes.keyValueHeads,
    ...(withHeadSize ? { head_dim: sizes.headSize } : {}),
    max_position_embeddings: sizes.contextTokens,
    rms_norm_eps: 1e-5,
    rope_theta: sizes.ropeTheta,
    tie_word_embeddings: sizes.tied,
    hidden_act: 'silu',
    eos_token_id: 2,
    bos_token_id: null,
  };
}

/** Byte-level BPE without merges: the first 94 tokens are the printable characters `!` to `~`. */
export function characterTokenizer(vocabularySize: number) {
  const token = (id: number) => (id < 94 ? String.fromCharCode(33 + id) : `<${id}>`);
  const vocabulary = Array.from({ length: vocabularySize }, (_, id) => [token(id), id]);
  const byteLevel = {
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: false,
  };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: 'BPE', vocab: Object.fromEntries(vocabulary), merges: [] },
  };
}

async function writeWeights(
  folder: string,
  tensors: ReadonlyMap<string, TestTensor>,
  dtypeOf: (tensor: string) => TestDtype,
  files: number,
): Promise<void> {
  const entries = [...tensors].map(([name, { shape, values }]) => {
    const dtype = dtypeOf(name);
    return { name, dtype, shape, data: encodeValues(values, dtype) };
  });
  if (files === 1) {
    await writeFile(join(folder, 'model.safetensors'), encodeSafetensors(entries));
    return;
  }
  const perFile = Math.ceil(entries.length / files);
  const weightMap: Record<string, string> = {};
  for (let file = 0; file < files; file += 1) {
    const part = entries.slice(file * perFile, (file + 1) * perFile);
    const number = (index: number) => String(index).padStart(5, '0');
    const name = `model-${number(file + 1)}-of-${number(files)}.safetensors`;
    for (const entry of part) weightMap[entry.name] = name;
    await writeFile(join(folder, name), encodeSafetensors(part));
  }
  const index = { metadata: {}, weight_map: weightMap };
  await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
}

export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** A well-formed safetensors file. The header is not padded, so data lie at any offset, odd ones included. */
export function encodeSafetensors(entries: readonly SafetensorsEntry[]): Buffer {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let end = 0;
  for (const { name, dtype, shape, data } of entries) {
    header[name] = { dtype, shape, data_offsets: [end, end + data.length] };
    end += data.length;
  }
  return encodeRawSafetensors(
    JSON.stringify(header),
    Buffer.concat(entries.map(({ data }) => data)),
  );
}

/** Any header over any data: for malformed files. */
export function encodeRawSafetensors(header: string | Uint8Array, data: Uint8Array): Buffer {
  const headerBytes = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(headerBytes.length));
  return Buffer.concat([length, headerBytes, data]);
}

/** Values must be exact in the type. */
function encodeValues(values: Float32Array, dtype: TestDtype): Uint8Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  if (dtype === 'F32') return new Uint8Array(bits.slice().buffer);
  const toBits = dtype === 'BF16' ? (bits32: number) => bits32 >>> 16 : toHalfBits;
  return new Uint8Array(Uint16Array.from(bits, toBits).buffer);
}

function toHalfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 0xff) - 127 + 15;
  if (exponent <= 0) return sign;
  return sign | (exponent << 10) | ((bits >>> 13) & 0x3ff);
}
