import { AiosError } from '../../sdk/errors.ts';
import type { SamplingParameters } from '../../sdk/sampling.ts';
import { uniformAt } from './sampling-random.ts';
import { bestIndexes, bestTokens, indexesFrom } from './sampling-rank.ts';

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
  /** Ascending. */
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
  const { repetitionPenalty: penalty } = parameters;
  const isPlain = penalty === 1 && parameters.temperature === 0;
  // The best of a large vocabulary is found without a copy of it, once a row of every batch.
  const scores = isPlain ? logits : penalize(logits, penalty, seen);
  const token =
    scores instanceof Float32Array || parameters.temperature === 0
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
export function greedy(scores: Float32Array | Float64Array): number {
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
  const weightOf = (score: number) => Math.exp((score - highest) / temperature);
  const cut = topK > 0 && topK < scores.length;
  const tokens = cut ? bestIndexes(scores, topK) : countUp(scores.length);
  const candidates = cut ? pick(scores, tokens, new Float64Array(tokens.length)) : scores;
  const weights = new Float64Array(tokens.length);
  // Plain loops, here and below: over a vocabulary of 150,000, callbacks cost a hundred milliseconds a token.
  for (let at = 0; at < weights.length; at++) weights[at] = weightOf(candidates[at] ?? 0);
  if (topP === 1) return { tokens, probabilities: normalize(weights) };
  const kept = nucleus(candidates, weights, weightOf, topP);
  return {
    tokens: pick(tokens, kept, new Uint32Array(kept.length)),
    probabilities: normalize(pick(weights, kept, new Float64Array(kept.length))),
  };
}

function countUp(length: number): Uint32Array {
  const ids = new Uint32Array(length);
  for (let id = 0; id < length; id++) ids[id] = id;
  return ids;
}

/** Fills `into` with the values at `indexes`. */
function pick<A extends Uint32Array | Float64Array>(values: A, indexes: Uint32Array, into: A): A {
  for (let at = 0; at < indexes.length; at++) into[at] = values[indexes[at] ?? 0] ?? 0;
  return into;
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** Makes them sum to 1, in place. */
function normalize(weights: Float64Array): Float64Array {
  const total = sum(weights);
  for (let at = 0; at < weights.length; at++) weights[at] = (weights[at] ?? 0) / total;
  return weights;
}

/** Indexes of the fewest best scores that hold the fraction `topP` of the weight, ascending; on a tie the lower ones. */
function nucleus(
  scores: Float64Array,
  weights: Float64Array,
  weightOf: (score: number) => number,
  topP: number,
): Uint32Array {
  const total = sum(weights);
  // What weighs less than this, weighs too little all together to be needed: usually all but a few.
  const negligible = ((1 - topP) * total) / weights.length / 2;
  const ascending = scores.filter((_, at) => (weights[at] ?? 0) >= negligible).sort();
  let count = 0;
  for (let mass = 0; count < ascending.length && mass < topP * total; count++) {
    mass += weightOf(ascending[ascending.length - 1 - count] ?? 0);
  }
  return indexesFrom(scores, ascending[ascending.length - count] ?? 0, count);
}

function draw({ tokens, probabilities }: Distribution, uniform: number): number {
  let cumulative = 0;
  let last = 0;
  for (let at = 0; at < tokens.length; at++) {
    const probability = probabilities[at] ?? 0;
    if (probability > 0) last = at;
    cumulative += probability;
    if (uniform < cumulative) return tokens[at] ?? 0;
  }
  // Rounding may leave the sum a hair under 1.
  return tokens[last] ?? 0;
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
