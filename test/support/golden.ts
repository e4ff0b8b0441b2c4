import { type GoldenRow, readGolden } from './tiny-assistant.ts';

export const golden = readGolden();

interface Answer {
  readonly choices: readonly {
    readonly message: { readonly content: string };
    readonly token_ids: readonly number[];
    readonly finish_reason: string;
    readonly logprobs: {
      readonly content: readonly {
        readonly top_logprobs: readonly { readonly logprob: number }[];
      }[];
    };
  }[];
}

/** The answer without the end token, which may be reported or not. */
export const bare = (tokens: readonly number[]) =>
  tokens.at(-1) === golden.eosTokenId ? tokens.slice(0, -1) : tokens;

/** Asks one row through the gateway, greedy. @returns what differs from the golden answer; empty when nothing does */
export async function differences(url: string, model: string, row: GoldenRow): Promise<string[]> {
  const body = {
    model,
    messages: row.messages,
    temperature: 0,
    logprobs: true,
    top_logprobs: 5,
    return_token_ids: true,
    ...(row.maxTokens ? { max_tokens: row.maxTokens } : {}),
    ...(row.ignoreEos ? { ignore_eos: true } : {}),
  };
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) return [`HTTP ${response.status}: ${await response.text()}`];
  const choice = ((await response.json()) as Answer).choices[0];
  if (!choice) return ['no choice'];

  const faults: string[] = [];
  const want = (name: string, got: unknown, expected: unknown) => {
    if (JSON.stringify(got) !== JSON.stringify(expected))
      faults.push(`${name}: ${JSON.stringify(got)} ≠ ${JSON.stringify(expected)}`);
  };
  const expected = bare(row.tokens).slice(0, row.exact);
  want('tokens', choice.token_ids.slice(0, expected.length), expected);
  if (row.exact === row.tokens.length) {
    if (!row.text.includes('\uFFFD')) want('text', choice.message.content, row.text);
    want('finish', choice.finish_reason, row.finish);
    want('length', bare(choice.token_ids).length, bare(row.tokens).length);
  }
  const steps = [
    [0, row.top5LogitsFirst],
    [row.top5LogitsAt, row.top5Logits],
  ] as const;
  for (const [step, logits] of steps) {
    const top = choice.logprobs.content[step]?.top_logprobs.map(({ logprob }) => logprob);
    // The end token's own step may be left out.
    if (step === bare(row.tokens).length && !top) continue;
    const gapAt = (values: readonly number[], i: number) =>
      (values[i] ?? Number.NaN) - (values[0] ?? Number.NaN);
    const expectedLogits = logits.map(([, logit]) => logit);
    const worst = Math.max(
      ...logits.map((_, i) => Math.abs(gapAt(top ?? [], i) - gapAt(expectedLogits, i))),
    );
    if (!(worst <= 1e-3)) faults.push(`log-probability gaps at step ${step} are off by ${worst}`);
  }
  return faults;
}
