import { z } from 'zod';

/** How the last shard chooses the next token. Greedy when `temperature` is 0. */
export const samplingParameters = z.strictObject({
  temperature: z.number().min(0).max(2).default(1),
  /** 0: all. */
  topK: z.number().int().min(0).default(0),
  topP: z.number().gt(0).max(1).default(1),
  /** 1: none. Over prompt and answer, as in the CTRL paper. */
  repetitionPenalty: z.number().gt(0).max(10).default(1),
  /** Same seed, same prompt, same parameters: same text. Drawn by the driver when absent. */
  seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
  /** How many alternatives to report beside each chosen token's log-probability; absent: report nothing. */
  logprobs: z.number().int().min(0).max(20).optional(),
});
export type SamplingParameters = z.output<typeof samplingParameters>;
