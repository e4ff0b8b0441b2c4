import { createSlowTime, createUsualTime } from './usual-time.ts';

/** When something that takes longer than usual has stalled. */
export interface StallOptions {
  /** Times as long as usual. @default 20 */
  readonly factor?: number;
  /** Nothing quicker than this has stalled, however quick it usually is: machines are busy at times. @default 3000 */
  readonly minMs?: number;
  /** Where nothing is known yet. @default 30000 */
  readonly unknownMs?: number;
}

/** What a model's sessions usually take, and how long to wait before it is asked whether others would be quicker. */
export interface StallLimits {
  opened(ms: number): void;
  /** From the first chunk sent to the first token. @param work - tokens of the prompt */
  began(ms: number, work: number): void;
  stepped(ms: number): void;
  readonly openMs: number;
  readonly stepMs: number;
  /** @param promptTokens - sent in chunks @param steps - sent again, one each */
  beginMs(promptTokens: number, steps: number): number;
}

/** A prompt of fewer tokens takes about as long: its time says little of what one of them takes. */
const leastWork = 32;

export function createStallLimits(options: StallOptions = {}): StallLimits {
  const { factor = 20, minMs = 3000, unknownMs = 30_000 } = options;
  const opening = createUsualTime();
  // Not the usual time: shards copy a beginning that they have, and that of most prompts may be the same.
  const perPromptToken = createSlowTime();
  const step = createUsualTime();
  const limit = (usualMs: number | undefined): number =>
    usualMs === undefined ? unknownMs : Math.max(minMs, factor * usualMs);
  const times = (ms: number | undefined, count: number) =>
    count === 0 ? 0 : (ms ?? Number.NaN) * count;
  /** A token of a prompt costs no more than one of an answer; what took longer had waited. */
  const promptTokenMs = () =>
    perPromptToken.ms === undefined
      ? undefined
      : Math.min(perPromptToken.ms, step.ms ?? Number.POSITIVE_INFINITY);
  const workOf = (promptTokens: number) =>
    promptTokens === 0 ? 0 : Math.max(leastWork, promptTokens);

  return {
    opened: opening.add,
    began: (ms, work) => perPromptToken.add(ms / Math.max(leastWork, work)),
    stepped: step.add,
    get openMs() {
      return limit(opening.ms);
    },
    get stepMs() {
      return limit(step.ms);
    },
    beginMs(promptTokens, steps) {
      const usualMs = times(promptTokenMs(), workOf(promptTokens)) + times(step.ms, steps);
      return limit(Number.isNaN(usualMs) ? undefined : usualMs);
    },
  };
}

/** Models that nobody asked for longest are forgotten. */
const maxModels = 256;

/** Limits of each model, kept between its answers. */
export function createStallLimitsOf(options?: StallOptions) {
  const models = new Map<string, StallLimits>();
  return (tenant: string, modelUri: string): StallLimits => {
    const key = JSON.stringify([tenant, modelUri]);
    const limits = models.get(key) ?? createStallLimits(options);
    models.delete(key);
    models.set(key, limits);
    const [oldest] = models.keys();
    if (models.size > maxModels && oldest !== undefined) models.delete(oldest);
    return limits;
  };
}

const maxTimerMs = 2 ** 31 - 1;

/**
 * Settles with the work. When it takes longer than the limit, `stalled` is asked: its error rejects, and without one the
 * work has twice as long again.
 */
export function unlessStalled<T>(
  work: Promise<T>,
  limitMs: number,
  stalled: (waitedMs: number) => Error | undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const startedAtMs = performance.now();
    let waitMs = limitMs;
    const check = () => {
      const error = stalled(performance.now() - startedAtMs);
      if (error) return reject(error);
      waitMs *= 2;
      timer = setTimeout(check, Math.min(waitMs, maxTimerMs));
    };
    let timer = setTimeout(check, Math.min(waitMs, maxTimerMs));
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
