import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  distribution,
  greedy,
  logProbabilities,
  penalize,
  type SeededSampling,
  sampleToken,
} from '../../../runtime/model/sampling.ts';
import { philox, uniformAt } from '../../../runtime/model/sampling-random.ts';
import { bestIndexes, bestTokens } from '../../../runtime/model/sampling-rank.ts';

const none = new Set<number>();
const plain: SeededSampling = { temperature: 1, topK: 0, topP: 1, repetitionPenalty: 1, seed: 7 };
const logitsArbitrary = fc
  .array(fc.double({ min: -30, max: 30, noNaN: true }), { minLength: 1, maxLength: 300 })
  .map((values) => Float32Array.from(values));
const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);

describe('philox', () => {
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ] as const)('gives the published block for counter %j', (counter, key, expected) => {
    expect(philox(counter, key)).toEqual(expected);
  });

  it('gives each seed and position its own number in [0, 1)', () => {
    const drawn = new Set<number>();
    for (const seed of [0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      for (let position = 0; position < 200; position++) drawn.add(uniformAt(seed, position));
    }
    expect(drawn.size).toBe(800);
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...drawn)).toBeLessThan(1);
  });
});

describe('ranking', () => {
  it('agrees with a full sort, lower ids first on ties', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -5, max: 5 }), { maxLength: 400 }),
        fc.nat(500),
        (values, count) => {
          const scores = Float64Array.from(values);
          const sorted = values
            .map((score, token) => ({ score, token }))
            .sort((a, b) => b.score - a.score || a.token - b.token)
            .map(({ token }) => token);
          expect(bestTokens(scores, count)).toEqual(sorted.slice(0, count));
        },
      ),
    );
  });
});

describe('selecting', () => {
  it('takes the same as ranking does, in the order of the indexes, whatever the count', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -5, max: 5 }), { maxLength: 400 }),
        fc.nat(500),
        (values, count) => {
          const scores = Float64Array.from(values);
          const ranked = bestTokens(scores, count).sort((a, b) => a - b);
          expect([...bestIndexes(scores, count)]).toEqual(ranked);
        },
      ),
    );
  });
});

describe('greedy choice', () => {
  it('takes the highest logit, and the lowest id on a tie', () => {
    fc.assert(
      fc.property(logitsArbitrary, (logits) => {
        const { token } = sampleToken(logits, { ...plain, temperature: 0 }, 0, none);
        expect(token).toBe(logits.indexOf(Math.max(...logits)));
      }),
    );
    expect(greedy(Float64Array.of(1, 4, 4, 2))).toBe(1);
  });

  it.each([
    ['NaN', [1, Number.NaN]],
    ['infinity', [1, Number.POSITIVE_INFINITY]],
    ['nothing but minus infinity', [Number.NEGATIVE_INFINITY]],
  ])('refuses %s instead of choosing anything', (_name, values) => {
    for (const temperature of [0, 1]) {
      expect(() =>
        sampleToken(Float32Array.from(values), { ...plain, temperature }, 0, none),
      ).toThrow(expect.objectContaining({ code: 'BLOCK_FAILED' }));
    }
  });
});

describe('the distribution', () => {
  const cuts = fc.record({
    temperature: fc.double({ min: 0.05, max: 2, noNaN: true }),
    topK: fc.nat(50),
    topP: fc.double({ min: 0.01, max: 1, noNaN: true }),
  });

  it('sums to 1, keeps the best token, and holds no more than topK', () => {
    fc.assert(
      fc.property(logitsArbitrary, cuts, (logits, parameters) => {
        const { tokens, probabilities } = distribution(Float64Array.from(logits), parameters);
        expect(sum(probabilities)).toBeCloseTo(1, 9);
        expect([...tokens]).toContain(greedy(Float64Array.from(logits)));
        if (parameters.topK > 0) expect(tokens.length).toBeLessThanOrEqual(parameters.topK);
        expect(new Set(tokens).size).toBe(tokens.length);
      }),
    );
  });

  it('keeps the fewest tokens that reach topP', () => {
    fc.assert(
      fc.property(
        logitsArbitrary,
        fc.double({ min: 0.01, max: 0.999, noNaN: true }),
        (logits, topP) => {
          const scores = Float64Array.from(logits);
          const whole = distribution(scores, { temperature: 1, topK: 0, topP: 1 });
          const ranked = [...whole.probabilities].sort((a, b) => b - a);
          const kept = distribution(scores, { temperature: 1, topK: 0, topP }).tokens.length;

          expect(sum(ranked.slice(0, kept))).toBeGreaterThanOrEqual(topP - 1e-9);
          expect(sum(ranked.slice(0, kept - 1))).toBeLessThan(topP + 1e-9);
        },
      ),
    );
  });

  it('of a large vocabulary is what sorting all of it gives', () => {
    const logits = Float64Array.from({ length: 20_000 }, (_, id) => 9 * Math.sin(id * id));
    for (const [topK, topP] of [
      [0, 0.5],
      [0, 0.999],
      [300, 0.9],
      [15_000, 0.9],
      [15_000, 1],
    ] as const) {
      const ranked = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
      const candidates = topK > 0 ? ranked.slice(0, topK) : ranked;
      const mass = topP * sum(candidates.map((id) => Math.exp(logits[id]!)));
      let reached = 0;
      const expected = candidates.filter((id) => {
        const needed = reached < mass || topP === 1;
        reached += Math.exp(logits[id]!);
        return needed;
      });

      const { tokens } = distribution(logits, { temperature: 1, topK, topP });

      expect([...tokens]).toEqual(expected.sort((a, b) => a - b));
    }
  });

  it('is sharper at a lower temperature', () => {
    const scores = Float64Array.of(1, 2, 3);
    const at = (temperature: number) =>
      distribution(scores, { temperature, topK: 0, topP: 1 }).probabilities[2] ?? 0;

    expect(at(0.5)).toBeGreaterThan(at(1));
    expect(at(1)).toBeGreaterThan(at(2));
    expect(at(1)).toBeCloseTo(Math.E ** 3 / (Math.E + Math.E ** 2 + Math.E ** 3), 12);
  });

  it('is what tokens are drawn from: the frequencies pass a chi-square test', () => {
    const logits = Float32Array.of(0, 1, 2, 0.5, -1, 1.5);
    const { probabilities } = distribution(Float64Array.from(logits), plain);
    const counts = new Array<number>(logits.length).fill(0);
    const draws = 20_000;
    for (let position = 0; position < draws; position++) {
      const { token } = sampleToken(logits, plain, position, none);
      counts[token] = (counts[token] ?? 0) + 1;
    }
    const chiSquare = sum(
      counts.map((count, token) => {
        const expected = draws * (probabilities[token] ?? 0);
        return (count - expected) ** 2 / expected;
      }),
    );
    // 99.9 % quantile for 5 degrees of freedom; seed and positions are fixed, so this cannot flicker.
    expect(chiSquare).toBeLessThan(20.5);
  });

  it('gives the same token for the same seed and position, whatever was drawn before', () => {
    const logits = Float32Array.from({ length: 500 }, (_, token) => Math.sin(token));
    const at = (position: number, seed: number) =>
      sampleToken(logits, { ...plain, seed }, position, none).token;
    const forward = Array.from({ length: 50 }, (_, position) => at(position, 1));
    const backward = Array.from({ length: 50 }, (_, index) => at(49 - index, 1)).reverse();

    expect(backward).toEqual(forward);
    expect(Array.from({ length: 50 }, (_, position) => at(position, 2))).not.toEqual(forward);
  });
});

describe('the repetition penalty', () => {
  it('divides positive and multiplies negative logits of seen tokens, and leaves the others', () => {
    const scores = penalize(Float32Array.of(2, -2, 3, 0), 2, new Set([0, 1, 3, 99]));
    expect([...scores]).toEqual([1, -4, 3, 0]);
  });

  it('never makes a seen token likelier', () => {
    fc.assert(
      fc.property(
        logitsArbitrary,
        fc.double({ min: 1, max: 10, noNaN: true }),
        (logits, penalty) => {
          const scores = penalize(logits, penalty, new Set([0]));
          expect(scores[0]).toBeLessThanOrEqual(logits[0] ?? 0);
        },
      ),
    );
  });

  it('decides a greedy choice', () => {
    const logits = Float32Array.of(5, 4);
    const parameters = { ...plain, temperature: 0, repetitionPenalty: 2 };
    expect(sampleToken(logits, parameters, 0, new Set([0])).token).toBe(1);
  });
});

describe('log-probabilities', () => {
  it('are the log-softmax of the raw logits, best first, untouched by temperature and penalty', () => {
    fc.assert(
      fc.property(logitsArbitrary, (logits) => {
        const { logprob, top } = logProbabilities(logits, 0, logits.length);
        expect(sum(top.map(([, value]) => Math.exp(value)))).toBeCloseTo(1, 9);
        expect(top.find(([token]) => token === 0)?.[1]).toBe(logprob);
        expect(top.map(([, value]) => value)).toEqual(
          top.map(([, value]) => value).sort((a, b) => b - a),
        );
      }),
    );
    const logits = Float32Array.of(1, 2, 3);
    const hot = sampleToken(
      logits,
      { ...plain, temperature: 2, repetitionPenalty: 3, logprobs: 3 },
      0,
      new Set([0, 1, 2]),
    );
    expect(hot.top?.[0]?.[1]).toBeCloseTo(-0.40760596, 6);
  });

  it('are absent unless asked for, and 0 alternatives still report the chosen token', () => {
    const logits = Float32Array.of(1, 2);
    expect(sampleToken(logits, plain, 0, none)).not.toHaveProperty('logprob');
    const { logprob, top } = sampleToken(logits, { ...plain, logprobs: 0 }, 0, none);
    expect(logprob).toBeLessThan(0);
    expect(top).toEqual([]);
  });
});
