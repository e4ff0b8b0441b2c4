import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Problem, SplitError, shorten } from '../../sdk/errors.ts';
import {
  generationConfig,
  type HuggingFaceConfig,
  huggingFaceConfig,
  unsupportedFeatures,
} from './config-document.ts';
import { parseDocument, readJsonFile } from './config-file.ts';

const maxConfigBytes = 4 * 2 ** 20;

/** Slows the low frequencies of the rotary embedding so that a model reads further than it was first trained to. */
export interface Llama3RopeScaling {
  readonly factor: number;
  readonly lowFrequencyFactor: number;
  readonly highFrequencyFactor: number;
  readonly originalContextTokens: number;
}

/** What a Llama-style decoder computes, whatever its weights. */
export interface LlamaConfig {
  readonly architecture: string;
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layerCount: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
  /** Longest prompt and answer together the model was made for. */
  readonly contextTokens: number;
  readonly normEpsilon: number;
  readonly ropeTheta: number;
  readonly ropeScaling?: Llama3RopeScaling;
  /** The head multiplies by the embedding's table. */
  readonly tiedEmbeddings: boolean;
  readonly endTokenIds: readonly number[];
  readonly beginTokenId?: number;
}

/** Architectures whose graph is the Llama graph. Another one with the same layers is one more line. */
const llamaArchitectures = new Set(['LlamaForCausalLM']);

function ropeScaling(raw: HuggingFaceConfig, problems: Problem[]): Llama3RopeScaling | undefined {
  const rope = raw.rope_parameters ?? raw.rope_scaling;
  if ((rope?.rope_type ?? rope?.type) !== 'llama3') return undefined;
  const { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } =
    rope ?? {};
  if (
    factor === undefined ||
    low_freq_factor === undefined ||
    high_freq_factor === undefined ||
    original_max_position_embeddings === undefined ||
    high_freq_factor <= low_freq_factor
  ) {
    problems.push({
      path: 'config.json: $.rope_scaling',
      message: "of type 'llama3' is incomplete.",
      expected:
        'factor, low_freq_factor < high_freq_factor and original_max_position_embeddings, all numbers',
      seen: shorten(rope),
    });
    return undefined;
  }
  return {
    factor,
    lowFrequencyFactor: low_freq_factor,
    highFrequencyFactor: high_freq_factor,
    originalContextTokens: original_max_position_embeddings,
  };
}

function headSizes(raw: HuggingFaceConfig, problems: Problem[]) {
  const heads = raw.num_attention_heads;
  const keyValueHeads = raw.num_key_value_heads ?? heads;
  const headSize = raw.head_dim ?? raw.hidden_size / heads;
  if (heads % keyValueHeads !== 0) {
    problems.push({
      path: 'config.json: $.num_key_value_heads',
      message: 'must divide num_attention_heads, so that each key head serves as many queries.',
      expected: `a divisor of ${heads}`,
      seen: String(keyValueHeads),
    });
  }
  // The rotary embedding turns pairs of a head's numbers.
  if (headSize % 2 !== 0) {
    problems.push({
      path: raw.head_dim ? 'config.json: $.head_dim' : 'config.json: $.hidden_size',
      message: 'gives heads that have no even size.',
      expected: 'an even head_dim (or hidden_size / num_attention_heads, where it is left out)',
      seen: String(headSize),
    });
  }
  return { heads, keyValueHeads, headSize };
}

const asList = (ids: number | readonly number[] | null | undefined) =>
  ids === null || ids === undefined ? [] : typeof ids === 'number' ? [ids] : ids;

/** The names in `architectures` of `config.json`. Cheap; why there are none is added to `problems`. */
export async function readArchitectures(
  modelFolder: string,
  problems: Problem[] = [],
): Promise<readonly string[]> {
  const document = await readJsonFile(modelFolder, 'config.json', maxConfigBytes, problems);
  if (document === undefined) return [];
  const schema = huggingFaceConfig.pick({ architectures: true });
  return parseDocument(schema, document, 'config.json', problems)?.architectures ?? [];
}

export const isLlamaArchitecture = (architecture: string) => llamaArchitectures.has(architecture);

/**
 * Reads `config.json` and `generation_config.json` of a Hugging Face folder.
 *
 * @returns the config, or undefined after adding every problem to `problems`
 * @throws {SplitError} ARCHITECTURE_UNSUPPORTED - another architecture, or a feature of it that is not computed
 */
export async function readLlamaConfig(
  modelFolder: string,
  problems: Problem[],
): Promise<LlamaConfig | undefined> {
  const document = await readJsonFile(modelFolder, 'config.json', maxConfigBytes, problems);
  if (document === undefined) return undefined;
  const raw = parseDocument(huggingFaceConfig, document, 'config.json', problems);
  if (!raw) return undefined;

  const architecture = raw.architectures.find(isLlamaArchitecture);
  if (!architecture) {
    throw new SplitError(
      'ARCHITECTURE_UNSUPPORTED',
      `${modelFolder}: architecture ${raw.architectures.join(', ')} is not supported. ` +
        `Supported: ${[...llamaArchitectures].join(', ')}.`,
      { details: { architectures: raw.architectures, supported: [...llamaArchitectures] } },
    );
  }
  const unsupported = unsupportedFeatures(raw);
  if (unsupported.length > 0) {
    throw new SplitError(
      'ARCHITECTURE_UNSUPPORTED',
      `${modelFolder}: ${unsupported.map(({ path }) => path.split('$.')[1]).join(', ')} in config.json ` +
        `asks for what the ${architecture} splitter does not compute.`,
      { problems: unsupported },
    );
  }

  const before = problems.length;
  const sizes = headSizes(raw, problems);
  const scaling = ropeScaling(raw, problems);
  const generation = await readGenerationConfig(modelFolder, problems);
  const endTokenIds = asList(generation?.eos_token_id ?? raw.eos_token_id);
  const beginTokenId = generation?.bos_token_id ?? raw.bos_token_id;
  for (const id of [...endTokenIds, ...asList(beginTokenId)]) {
    if (id < raw.vocab_size) continue;
    problems.push({
      path: 'config.json: $.eos_token_id, $.bos_token_id',
      message: 'names a token that the vocabulary does not have.',
      expected: `less than vocab_size, ${raw.vocab_size}`,
      seen: String(id),
    });
  }
  if (problems.length > before) return undefined;
  return {
    architecture,
    vocabularySize: raw.vocab_size,
    hiddenSize: raw.hidden_size,
    intermediateSize: raw.intermediate_size,
    layerCount: raw.num_hidden_layers,
    ...sizes,
    contextTokens: raw.max_position_embeddings,
    normEpsilon: raw.rms_norm_eps,
    ropeTheta: raw.rope_parameters?.rope_theta ?? raw.rope_theta ?? 10_000,
    ...(scaling ? { ropeScaling: scaling } : {}),
    tiedEmbeddings: raw.tie_word_embeddings,
    endTokenIds,
    ...(typeof beginTokenId === 'number' ? { beginTokenId } : {}),
  };
}

/** `generation_config.json` is optional; what it says of end tokens wins over `config.json`. */
async function readGenerationConfig(modelFolder: string, problems: Problem[]) {
  const name = 'generation_config.json';
  const found = await stat(join(modelFolder, name)).catch(() => undefined);
  if (!found) return undefined;
  const document = await readJsonFile(modelFolder, name, maxConfigBytes, problems);
  if (document === undefined) return undefined;
  return parseDocument(generationConfig, document, name, problems);
}
