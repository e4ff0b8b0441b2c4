import { AiosError } from '../../sdk/errors.ts';
import type { SamplingParameters } from '../../sdk/sampling.ts';
import { uniformAt } from './sampling-random.ts';
import { bestTokens } from './sampling-rank.ts';

export type SeededSampling = SamplingParameters & { readonly seed: number };

export interface SampledToken {
  readonly token: number;
  /** Natural logarithm of the token's probability by the raw logits, when log-probabilities were asked for. */
  readonly logprob?: number;
  /** The best tokens by the raw logits, best first. */
  readonly top?: readonly (readonly [token: number, logprob: number])[];
}

/** What a token is drawn from. */
export interface Distribution {
  /** Best first where anything was cut, else by id. */
  readonly tokens: Uint32Array;
  /** Of each of `tokens`; they sum to 1. */
  readonly probabilities: Float64Array;
}

/**
 * Chooses the next token. Pure: the same logits, parameters, position and seen tokens give the same choice, on every
 * machine.
 *
 * @param logits - float32 [vocabulary]; not changed
 * @param position - that the chosen token will take; with the seed it is the whole random state
 * @param seen - ids of the prompt and of the answer so far, for the repetition penalty
 * @throws {AiosError} BLOCK_FAILED - the logits are not numbers
 */
export function sampleToken(
  logits: Float32Array,
  parameters: SeededSampling,
  position: number,
  seen: ReadonlySet<number>,
): SampledToken {
  const scores = penalize(logits, parameters.repetitionPenalty, seen);
  const token =
    parameters.temperature === 0
      ? greedy(scores)
      : draw(distribution(scores, parameters), uniformAt(parameters.seed, position));
  return parameters.logprobs === undefined
    ? { token }
    : { token, ...logProbabilities(logits, token, parameters.logprobs) };
}

/**
 * Scores after the repetition penalty: a seen token's logit is divided by it when positive and multiplied when negative.
 *
 * @see Keskar et al., "CTRL: A Conditional Transformer Language Model" (2019), section 4.1
 */
export function penalize(
  logits: Float32Array,
  penalty: number,
  seen: ReadonlySet<number>,
): Float64Array {
  const scores = new Float64Array(logits);
  if (penalty === 1) return scores;
  for (const token of seen) {
    const score = scores[token];
    if (score !== undefined) scores[token] = score > 0 ? score / penalty : score * penalty;
  }
  return scores;
}

/**
 * The token with the highest score; on a tie the lowest id.
 *
 * @throws {AiosError} BLOCK_FAILED - a score is NaN or +∞, or all are -∞
 */
export function greedy(scores: Float64Array): number {
  let best = 0;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (let token = 0; token < scores.length; token++) {
    const score = scores[token] ?? Number.NaN;
    if (score > bestScore) [best, bestScore] = [token, score];
    if (Number.isNaN(score)) throw notNumbers(token);
  }
  if (!Number.isFinite(bestScore)) throw notNumbers(best);
  return best;
}

/**
 * What the next token is drawn from: scores divided by the temperature, the `topK` best of them, of those the fewest whose
 * probabilities reach `topP`.
 */
export function distribution(
  scores: Float64Array,
  { temperature, topK, topP }: Pick<SamplingParameters, 'temperature' | 'topK' | 'topP'>,
): Distribution {
  const highest = scores[greedy(scores)] ?? 0;
  const weightOf = (token: number) => Math.exp(((scores[token] ?? 0) - highest) / temperature);
  const kept = topK > 0 && topK < scores.length ? bestTokens(scores, topK) : scores.keys();
  const candidates = weigh(Uint32Array.from(kept), weightOf);
  const cut = topP < 1 ? reach(scores, candidates, topP, weightOf) : candidates;
  return { tokens: cut.tokens, probabilities: cut.weights.map((weight) => weight / cut.total) };
}

interface Weighed {
  readonly tokens: Uint32Array;
  readonly weights: Float64Array;
  readonly total: number;
}

function weigh(tokens: Uint32Array, weightOf: (token: number) => number): Weighed {
  const weights = Float64Array.from(tokens, weightOf);
  return { tokens, weights, total: weights.reduce((sum, weight) => sum + weight, 0) };
}

/** The fewest best candidates that hold the fraction `topP` of the weight. Ranks a few first: usually they are enough. */
function reach(
  scores: Float64Array,
  candidates: Weighed,
  topP: number,
  weightOf: (token: number) => number,
): Weighed {
  const limit = candidates.tokens.length;
  const mass = topP * candidates.total;
  for (let count = 64; ; count *= 8) {
    const ranked = weigh(Uint32Array.from(bestTokens(scores, Math.min(count, limit))), weightOf);
    let sum = 0;
    const last = ranked.weights.findIndex((weight) => {
      sum += weight;
      return sum >= mass;
    });
    if (last >= 0) return weigh(ranked.tokens.subarray(0, last + 1), weightOf);
    if (count >= limit) return ranked;
  }
}

function draw({ tokens, probabilities }: Distribution, uniform: number): number {
  let cumulative = 0;
  const index = probabilities.findIndex((probability) => {
    cumulative += probability;
    return uniform < cumulative;
  });
  // Rounding may leave the sum a hair under 1.
  const last = probabilities.findLastIndex((probability) => probability > 0);
  return tokens[index >= 0 ? index : last] ?? 0;
}

/** Log-softmax of the raw logits, in double precision: of `token`, and of the `count` best. */
export function logProbabilities(
  logits: Float32Array,
  token: number,
  count: number,
): Required<Omit<SampledToken, 'token'>> {
  const scores = new Float64Array(logits);
  const highest = scores[greedy(scores)] ?? 0;
  let sum = 0;
  for (const score of scores) sum += Math.exp(score - highest);
  const normalizer = highest + Math.log(sum);
  const logprobOf = (id: number) => (scores[id] ?? Number.NEGATIVE_INFINITY) - normalizer;
  return {
    logprob: logprobOf(token),
    top: bestTokens(scores, count).map((id) => [id, logprobOf(id)] as const),
  };
}

const notNumbers = (token: number) =>
  new AiosError(
    'BLOCK_FAILED',
    `the last stage gave a logit for token ${token} that is not a number. ` +
      'Its weights are damaged or overflow in float32: split the model again from a checked copy.',
  );
