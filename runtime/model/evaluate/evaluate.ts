import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { AiosError } from '../../../sdk/errors.ts';
import { readWrittenPlan } from '../../../sdk/spec/index.ts';
import type { WrittenPlan } from '../../../sdk/spec/plan.ts';
import { formatBytes } from '../../../sdk/units.ts';
import { loadOnnxRuntime, type OnnxRuntime } from '../onnx-runtime.ts';
import { writeSplit } from '../split.ts';
import { planFileName } from '../split-folder.ts';
import { tokenizerFolder } from '../split-tokenizer.ts';
import { splitters } from '../splitters/index.ts';
import { loadTokenizer } from '../tokenizer.ts';
import { runStages } from './run-stages.ts';
import { createScore, type Score } from './score.ts';

export interface EvaluateOptions {
  /** Folder with `plan.json`. */
  readonly planFolder: string;
  /** Folder of the model it was made of, or of another plan; computed in fp32 where it is a model. */
  readonly againstFolder: string;
  readonly text: string;
  /** Of the text that are read at most. @default 2048 */
  readonly maxTokens?: number;
  /**
   * Tokens that are read together, each with those before it in sight. @default 256, or the context where that is
   * shorter
   */
  readonly windowTokens?: number;
  /** @default 1 */
  readonly threads?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (fraction: number, what: string) => void;
}

/** How much a split's answers differ from the model's. */
export interface Evaluation {
  /** Next tokens that were guessed. */
  readonly tokens: number;
  readonly windows: number;
  readonly perplexity: number;
  readonly againstPerplexity: number;
  /** Share of positions at which both find the same token likeliest. */
  readonly topAgreement: number;
  /** Mean of how far the two logarithms of the true token's probability are apart. */
  readonly meanLogprobGap: number;
}

const defaultWindow = 256;
const defaultTokens = 2048;
/** Of a model while its shards are run one after the other. */
const maxActivationBytes = 512 * 2 ** 20;

/**
 * Reads a text with a split and with the model it was made of, shard by shard.
 *
 * @throws {AiosError} NOT_FOUND, SPLIT_PLAN_INVALID, REQUEST_INVALID - the text is too short, or too much is asked for;
 *   CANCELLED
 */
export async function evaluateSplit(options: EvaluateOptions): Promise<Evaluation> {
  const { onProgress = () => {}, signal = new AbortController().signal, threads = 1 } = options;
  const plan = await readPlan(options.planFolder);
  if (!plan.vdag.generation) {
    throw new AiosError(
      'REQUEST_INVALID',
      `'${options.planFolder}' is a split of no language model, which alone reads a text.`,
    );
  }
  const windows = await windowsOf(options, plan);
  const runtime = await loadOnnxRuntime();
  const common = { runtime, windows, threads, signal };
  const score = await scoreOf(common, options.planFolder, plan, (done) =>
    onProgress(done / 2, 'reading with the split'),
  );
  await using against = await openAgainst(options.againstFolder, plan, signal);
  const other = await scoreOf(common, against.planFolder, against.plan, (done) =>
    onProgress((1 + done) / 2, 'reading with the model'),
  );
  return {
    tokens: score.tokens,
    windows: windows.length,
    perplexity: score.perplexity,
    againstPerplexity: other.perplexity,
    topAgreement: score.agreement(other),
    meanLogprobGap: score.meanGap(other),
  };
}

async function readPlan(folder: string): Promise<WrittenPlan> {
  const path = join(folder, planFileName);
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined)
    throw new AiosError('NOT_FOUND', `there is no ${planFileName} in '${folder}'.`);
  try {
    return readWrittenPlan(JSON.parse(text));
  } catch (cause) {
    throw new AiosError('SPLIT_PLAN_INVALID', `'${path}' is no plan; split the model again.`, {
      cause,
    });
  }
}

/** The text's tokens, cut into pieces of one length, each behind the begin token where the model has one. */
async function windowsOf(
  { planFolder, text, maxTokens = defaultTokens, windowTokens }: EvaluateOptions,
  { contextTokens, components, vdag }: WrittenPlan,
): Promise<number[][]> {
  const size = Math.min(windowTokens ?? defaultWindow, contextTokens);
  const file = (name: string) => readFile(join(planFolder, tokenizerFolder, name));
  const config = await file('tokenizer_config.json').catch(() => undefined);
  const tokenizer = await loadTokenizer({
    tokenizer: await file('tokenizer.json'),
    ...(config ? { config } : {}),
  });
  const begin = vdag.generation?.beginTokenId;
  const tokens = tokenizer.encode(text, { addSpecialTokens: false }).slice(0, maxTokens);
  const head = begin === undefined ? [] : [begin];
  const step = Math.min(size, tokens.length + head.length) - head.length;
  if (step + head.length < 2) {
    throw new AiosError(
      'REQUEST_INVALID',
      'the text has no two tokens to read one after the other.',
    );
  }
  const windows: number[][] = [];
  for (let from = 0; from + step <= tokens.length; from += step) {
    windows.push([...head, ...tokens.slice(from, from + step)]);
  }
  const hiddenSize = components[0]?.stage?.hiddenSize ?? 0;
  const bytes = windows.length * (step + head.length) * hiddenSize * 4;
  if (bytes > maxActivationBytes) {
    throw new AiosError(
      'REQUEST_INVALID',
      `activations of ${tokens.length} tokens take ${formatBytes(bytes)}; at most ${formatBytes(maxActivationBytes)} are kept. Read fewer.`,
    );
  }
  return windows;
}

interface Common {
  readonly runtime: OnnxRuntime;
  readonly windows: readonly (readonly number[])[];
  readonly threads: number;
  readonly signal: AbortSignal;
}

async function scoreOf(
  common: Common,
  planFolder: string,
  plan: WrittenPlan,
  onProgress: (fraction: number) => void,
): Promise<Score> {
  const score = createScore(common.windows);
  await runStages({ ...common, planFolder, plan, onProgress }, score.add);
  return score;
}

/** A plan of the model: its own, or one of a layer a shard over its files, so that one layer at a time is in memory. */
async function openAgainst(folder: string, { contextTokens }: WrittenPlan, signal: AbortSignal) {
  const own = await readPlan(folder).catch(() => undefined);
  if (own) return { planFolder: folder, plan: own, [Symbol.asyncDispose]: async () => {} };
  // Beside the model, where its files can be linked; elsewhere they are copied.
  const scratch = await mkdtemp(join(dirname(resolve(folder)), '.aios-evaluate-')).catch(() =>
    mkdtemp(join(tmpdir(), 'aios-evaluate-')),
  );
  const dispose = () => rm(scratch, { recursive: true, force: true });
  try {
    const planFolder = join(scratch, 'plan');
    const plan = await writeSplit({
      ...{ modelFolder: folder, outFolder: planFolder, splitters, signal, contextTokens },
      ...{ maxSessions: 1, readAtMostBytes: 0, hashCachePath: join(scratch, 'hashes.json') },
      plan: async ({ layers }) => ({ firstLayers: layers.map((_, layer) => layer) }),
    });
    return { planFolder, plan, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}
