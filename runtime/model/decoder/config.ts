import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Problem, SplitError } from '../../../sdk/errors.ts';
import { parseDocument, readJsonFile } from '../config-file.ts';
import {
  type Architecture,
  architectures,
  type Biases,
  supportedArchitectures,
} from './architectures.ts';
import { generationConfig, type HuggingFaceConfig, huggingFaceConfig } from './config-document.ts';
import { type Activation, activationOf, unsupportedFeatures } from './features.ts';
import { type LayerConfig, readLayers } from './layers-config.ts';

const maxConfigBytes = 4 * 2 ** 20;

/** What a decoder computes, whatever its weights. */
export interface DecoderConfig
  extends Pick<
    Architecture,
    'normOffset' | 'norms' | 'queryKeyNorms' | 'fusedProjections' | 'title'
  > {
  readonly architecture: string;
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: readonly LayerConfig[];
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
  /** Longest prompt and answer together the model was made for. */
  readonly contextTokens: number;
  readonly normEpsilon: number;
  readonly biases: Biases;
  readonly activation: Activation;
  /** Multiplies embeddings; absent: 1. */
  readonly embeddingScale?: number;
  /** Multiplies products of queries and keys. */
  readonly attentionScale: number;
  /** A cap c bends x to c · tanh(x / c). */
  readonly attentionSoftCap?: number;
  readonly logitSoftCap?: number;
  /** The head multiplies by the embedding's table. */
  readonly tiedEmbeddings: boolean;
  readonly endTokenIds: readonly number[];
  readonly beginTokenId?: number;
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
  return document === undefined ? [] : architecturesIn(document, problems);
}

function architecturesIn(document: unknown, problems: Problem[]): readonly string[] {
  const schema = huggingFaceConfig.pick({ architectures: true });
  return parseDocument(schema, document, 'config.json', problems)?.architectures ?? [];
}

export const isSupportedArchitecture = (name: string) => architectures.has(name);

/** @returns the first that is computed; undefined - why there is none was added to `problems` */
function chooseArchitecture(modelFolder: string, document: unknown, problems: Problem[]) {
  const names = architecturesIn(document, problems);
  if (names.length === 0) return undefined;
  for (const name of names) {
    const architecture = architectures.get(name);
    if (architecture) return { name, architecture };
  }
  throw new SplitError(
    'ARCHITECTURE_UNSUPPORTED',
    `${modelFolder}: architecture ${names.join(', ')} is not supported. ` +
      `Supported: ${supportedArchitectures.join(', ')}.`,
    { details: { architectures: names, supported: supportedArchitectures } },
  );
}

/**
 * Reads `config.json` and `generation_config.json` of a Hugging Face folder.
 *
 * @returns the config, or undefined after adding every problem to `problems`
 * @throws {SplitError} ARCHITECTURE_UNSUPPORTED - another architecture, or a feature of it that is not computed
 */
export async function readDecoderConfig(
  modelFolder: string,
  problems: Problem[],
): Promise<DecoderConfig | undefined> {
  const document = await readJsonFile(modelFolder, 'config.json', maxConfigBytes, problems);
  if (document === undefined) return undefined;
  const chosen = chooseArchitecture(modelFolder, document, problems);
  if (!chosen) return undefined;
  const { name, architecture } = chosen;
  const complete = { ...architecture.defaults, ...Object(document) };
  const raw = parseDocument(huggingFaceConfig, complete, 'config.json', problems);
  if (!raw) return undefined;

  const unsupported = unsupportedFeatures(raw);
  const activation = activationOf(raw);
  if (!activation || unsupported.length > 0) {
    throw new SplitError(
      'ARCHITECTURE_UNSUPPORTED',
      `${modelFolder}: ${unsupported.map(({ path }) => path.split('$.')[1]).join(', ')} in config.json ` +
        `asks for what the ${name} splitter does not compute.`,
      { problems: unsupported },
    );
  }

  const before = problems.length;
  const sizes = headSizes(raw, problems);
  const layers = readLayers(architecture, raw, sizes.headSize, problems);
  const tokens = await readTokenIds(modelFolder, raw, problems);
  if (problems.length > before) return undefined;
  const { title, normOffset, norms, queryKeyNorms, fusedProjections } = architecture;
  const caps: Partial<HuggingFaceConfig> = architecture.softCaps ? raw : {};
  const scalar = architecture.queryScalar ? raw.query_pre_attn_scalar : undefined;
  return {
    ...{ architecture: name, title, normOffset, norms, queryKeyNorms, fusedProjections },
    vocabularySize: raw.vocab_size,
    hiddenSize: raw.hidden_size,
    intermediateSize: raw.intermediate_size,
    layers,
    ...sizes,
    contextTokens: raw.max_position_embeddings,
    normEpsilon: raw.rms_norm_eps,
    biases: architecture.biases(raw),
    activation,
    ...(architecture.scaledEmbeddings ? { embeddingScale: Math.sqrt(raw.hidden_size) } : {}),
    attentionScale: 1 / Math.sqrt(scalar ?? sizes.headSize),
    ...(caps.attn_logit_softcapping ? { attentionSoftCap: caps.attn_logit_softcapping } : {}),
    ...(caps.final_logit_softcapping ? { logitSoftCap: caps.final_logit_softcapping } : {}),
    tiedEmbeddings: raw.tie_word_embeddings,
    ...tokens,
  };
}

async function readTokenIds(modelFolder: string, raw: HuggingFaceConfig, problems: Problem[]) {
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
  return { endTokenIds, ...(typeof beginTokenId === 'number' ? { beginTokenId } : {}) };
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
