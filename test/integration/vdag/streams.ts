import type { GenerationDriver, GenerationEvent } from '../../../runtime/vdag/index.ts';
import { golden } from '../../support/golden.ts';

type End = Extract<GenerationEvent, { type: 'end' }>;

/** One answer, as its reader saw it. */
export interface Streamed {
  readonly tokens: readonly number[];
  /** The longest time between two tokens. */
  readonly longestGapMs: number;
  readonly recoveries: End['recoveries'];
}

/** Streams answers of an exact length, greedy and at temperature 1 in turn, each of its own prompt and seed. */
export function createStreams(driver: GenerationDriver, sessions: number, answerTokens: number) {
  async function ask(index: number, onToken: () => void): Promise<Streamed> {
    const row = golden.rows[index % golden.rows.length];
    const sampling = { topK: 0, topP: 1, repetitionPenalty: 1, seed: 1000 + index };
    const events = driver.generate({
      tenant: 'default',
      vdagUri: 'tiny-assistant',
      prompt: { type: 'messages', messages: row?.messages ?? [] },
      sampling: { ...sampling, temperature: index % 2 },
      maxTokens: answerTokens,
      stop: [],
      ignoreEndToken: true,
      deadlineMs: Date.now() + 120_000,
      signal: new AbortController().signal,
    });
    const tokens: number[] = [];
    let recoveries: End['recoveries'] = [];
    let longestGapMs = 0;
    let lastAtMs: number | undefined;
    for await (const event of events) {
      if (event.type === 'token') {
        const now = performance.now();
        longestGapMs = Math.max(longestGapMs, now - (lastAtMs ?? now));
        lastAtMs = now;
        tokens.push(event.token);
        onToken();
      }
      if (event.type === 'end') recoveries = event.recoveries;
    }
    return { tokens, longestGapMs, recoveries };
  }

  /** All at once. @param at - what is done after how many tokens of all of them together */
  return async (at: { tokens: number; run: () => unknown }[] = []): Promise<Streamed[]> => {
    let seen = 0;
    const doing: unknown[] = [];
    const onToken = () => {
      seen += 1;
      for (const { tokens, run } of at) if (tokens === seen) doing.push(run());
    };
    const answers = await Promise.all(
      Array.from({ length: sessions }, (_, index) => ask(index, onToken)),
    );
    await Promise.all(doing);
    return answers;
  };
}

export const tokensOf = (answers: readonly Streamed[]) => answers.map(({ tokens }) => tokens);
