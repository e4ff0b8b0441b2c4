import type { ModelServing } from '../../sdk/client/api.ts';
import { type AnswerHistograms, tokenParts } from './answers.ts';
import type { Exposition, Family } from './exposition.ts';

const family = (type: Family['type'], name: string, help: string): Family => ({
  name: `aios_model_${name}`,
  type,
  help,
});

const served: readonly (readonly [Family, (serving: ModelServing) => number | undefined])[] = [
  [family('gauge', 'waiting_requests', 'Requests that wait for a place.'), (one) => one.waiting],
  [family('gauge', 'open_sessions', 'Answers under way.'), (one) => one.openSessions],
  [family('gauge', 'session_slots', 'Answers that its shards have room for.'), (one) => one.slots],
  [
    family('counter', 'answers_total', 'Answers that came to their end.'),
    (one) => one.answersTotal,
  ],
  [family('counter', 'busy_total', 'Requests refused as busy.'), (one) => one.busyTotal],
  [family('counter', 'prompt_tokens_total', 'Tokens of prompts.'), (one) => one.promptTokensTotal],
  [family('counter', 'tokens_total', 'Tokens sampled.'), (one) => one.tokensTotal],
];
const timeToFirstToken = family(
  'histogram',
  'time_to_first_token_seconds',
  'From the request to the first token, waiting for a place included.',
);
const tokenTime = family('histogram', 'token_seconds', 'From one token of an answer to the next.');
const admissionWait = family('histogram', 'admission_wait_seconds', 'Waiting for a place.');
const tokenPart = family(
  'histogram',
  'token_part_seconds',
  'Where the time of a token went, by part, averaged over each answer.',
);

/** How a language model answers. */
export function addAnswers(
  out: Exposition,
  labels: { readonly tenant: string; readonly vdag: string },
  serving: ModelServing | undefined,
  histograms: AnswerHistograms | undefined,
): void {
  if (!serving || !histograms) return;
  for (const [one, value] of served) out.add(one, labels, value(serving));
  out.addHistogram(timeToFirstToken, labels, histograms.timeToFirstToken);
  out.addHistogram(tokenTime, labels, histograms.tokenTime);
  out.addHistogram(admissionWait, labels, histograms.admissionWait);
  for (const part of tokenParts) {
    out.addHistogram(tokenPart, { ...labels, part }, histograms.parts[part]);
  }
}
