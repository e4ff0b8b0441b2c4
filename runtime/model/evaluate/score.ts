/** How well a model guesses the next token at each position of some texts. */
export interface Score {
  readonly tokens: number;
  readonly perplexity: number;
  /** Takes what a position says of the next. The buffer is used again after. */
  readonly add: (window: number, position: number, logits: Float32Array) => void;
  /** Share of positions at which the other finds the same token likeliest. */
  agreement(other: Score): number;
  meanGap(other: Score): number;
  readonly likeliest: Int32Array;
  readonly logprobs: Float64Array;
}

/** @param windows - of one length */
export function createScore(windows: readonly (readonly number[])[]): Score {
  const guesses = Math.max(0, (windows[0]?.length ?? 0) - 1);
  const count = guesses * windows.length;
  const likeliest = new Int32Array(count);
  const logprobs = new Float64Array(count);
  return {
    likeliest,
    logprobs,
    tokens: count,
    get perplexity() {
      return Math.exp(-logprobs.reduce((sum, value) => sum + value, 0) / count);
    },
    add(window, position, logits) {
      if (position >= guesses) return;
      let best = 0;
      for (let id = 1; id < logits.length; id += 1) {
        if ((logits[id] as number) > (logits[best] as number)) best = id;
      }
      const highest = logits[best] ?? 0;
      let total = 0;
      for (let id = 0; id < logits.length; id += 1) {
        total += Math.exp((logits[id] as number) - highest);
      }
      const at = window * guesses + position;
      const next = windows[window]?.[position + 1] ?? 0;
      likeliest[at] = best;
      logprobs[at] = (logits[next] ?? 0) - highest - Math.log(total);
    },
    agreement(other) {
      return likeliest.filter((id, at) => id === other.likeliest[at]).length / count;
    },
    meanGap(other) {
      const gaps = logprobs.map((value, at) => Math.abs(value - (other.logprobs[at] ?? 0)));
      return gaps.reduce((sum, gap) => sum + gap, 0) / count;
    },
  };
}
