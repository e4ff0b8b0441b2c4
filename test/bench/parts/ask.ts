import { median } from './options.ts';

export interface Arrivals {
  readonly startedMs: number;
  /** When each token came, by `performance.now()`. */
  readonly tokenMs: readonly number[];
}

const tokenMark = Buffer.from('"token_ids":[');

/** `length` ids between 5 and 700, others for each session. */
export const promptOf = (session: number, length: number): number[] =>
  Array.from({ length }, (_, at) => 5 + ((session * 31 + at * 7) % 700));

/** Asks for a greedy answer of exactly `tokens` tokens over HTTP, and notes when each arrives. */
export async function ask(
  url: string,
  model: string,
  promptTokens: readonly number[],
  tokens: number,
): Promise<Arrivals> {
  const startedMs = performance.now();
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      ...{ model, prompt: promptTokens, max_tokens: tokens, temperature: 0, stream: true },
      ...{ ignore_eos: true, return_token_ids: true },
    }),
  });
  if (!response.ok || !response.body) throw new Error(await response.text());
  const tokenMs: number[] = [];
  for await (const chunk of response.body) {
    const nowMs = performance.now();
    const bytes = Buffer.from(chunk);
    for (let at = bytes.indexOf(tokenMark); at >= 0; at = bytes.indexOf(tokenMark, at + 1)) {
      tokenMs.push(nowMs);
    }
  }
  return { startedMs, tokenMs };
}

/** Milliseconds a token after the first: the median, which a busy moment of the machine does not move. */
export function msPerToken({ tokenMs }: Pick<Arrivals, 'tokenMs'>): number {
  return median(tokenMs.slice(1).map((ms, at) => ms - (tokenMs[at] ?? ms)));
}
