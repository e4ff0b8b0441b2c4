/** How fast a model answers lately, to say how long a line takes. */
export interface AnswerPace {
  firstToken(timeToFirstTokenMs: number): void;
  /** The time from one token of an answer to the next. */
  token(tokenMs: number): void;
  ended(answerTokens: number): void;
  /** How long an answer holds its place; undefined until one was seen to its end. */
  readonly answerMs: number | undefined;
}

/** What one more answer weighs against all before; a token weighs less, as there are many. */
const answerWeight = 0.2;
const tokenWeight = 0.02;

function createAverage(weight: number) {
  let value: number | undefined;
  return {
    add(sample: number) {
      value = value === undefined ? sample : value + (sample - value) * weight;
    },
    get value() {
      return value;
    },
  };
}

export function createAnswerPace(): AnswerPace {
  const firstTokenMs = createAverage(answerWeight);
  const tokenMs = createAverage(tokenWeight);
  const answerTokens = createAverage(answerWeight);
  return {
    firstToken: firstTokenMs.add,
    token: tokenMs.add,
    ended: answerTokens.add,
    get answerMs() {
      const tokens = answerTokens.value;
      if (tokens === undefined) return undefined;
      return (firstTokenMs.value ?? 0) + Math.max(0, tokens - 1) * (tokenMs.value ?? 0);
    },
  };
}
