import type { GenerationSpec } from '../../sdk/spec/vdag.ts';
import type { TokenPayload } from '../dataplane/index.ts';
import { createStopMatcher } from '../model/index.ts';
import type { AnswerPace } from './answer-pace.ts';
import type { AnswerPlace } from './answer-place.ts';
import { createAnswerText, type ShownToken } from './answer-text.ts';
import type { AnswerWatch } from './answer-watch.ts';
import type { GenerateRequest, GenerationEvent } from './generation.ts';
import { createHopTimings } from './hop-timings.ts';
import type { ModelText } from './model-text.ts';
import type { SurvivingSession } from './surviving-session.ts';

export interface AnswerOptions {
  readonly request: GenerateRequest;
  readonly generation: GenerationSpec;
  readonly text: ModelText;
  readonly session: Pick<
    SurvivingSession,
    'start' | 'step' | 'next' | 'close' | 'shards' | 'recoveries'
  >;
  readonly promptTokens: readonly number[];
  /** Of `performance.now()`. */
  readonly startedAtMs: number;
  readonly place: Pick<AnswerPlace, 'waitedMs' | 'leave'>;
  readonly pace: Pick<AnswerPace, 'firstToken' | 'token' | 'ended'>;
  readonly watch: Pick<AnswerWatch, 'firstToken' | 'token' | 'parts'>;
}

type TokenEvent = Extract<GenerationEvent, { type: 'token' }>;
type Sampled = Omit<TokenEvent, 'text'>;

/**
 * The token loop of one open session: each sampled token goes back to the first shard before its text is worked out, so
 * that the shards never wait for the reader.
 */
export async function* answer(options: AnswerOptions): AsyncGenerator<GenerationEvent, void, void> {
  const { request, generation, session, promptTokens, place, pace, watch } = options;
  const endTokens = new Set(request.ignoreEndToken ? [] : generation.endTokenIds);
  const limit = Math.min(
    request.maxTokens ?? Number.POSITIVE_INFINITY,
    generation.contextTokens - promptTokens.length,
  );
  const answerText = createAnswerText<Sampled>(
    options.text.createTextStream(),
    request.stop.length > 0 ? createStopMatcher(request.stop) : undefined,
  );
  const hops = createHopTimings();
  let completionTokens = 0;
  let timeToFirstTokenMs = 0;

  function* show(tokens: readonly ShownToken<Sampled>[]): Generator<TokenEvent> {
    for (const { item, text } of tokens) {
      completionTokens += 1;
      yield { ...item, text };
    }
  }

  await session.start();
  for (let sampled = 1; ; sampled++) {
    const { token, choice, timings, cameAtMs } = await session.next();
    const tokenMs = hops.add(timings, cameAtMs);
    const isEnd = endTokens.has(token);
    if (!isEnd && sampled < limit) {
      session.step(token);
      hops.sent(performance.now());
    }
    if (tokenMs === undefined) {
      timeToFirstTokenMs = cameAtMs - options.startedAtMs;
      pace.firstToken(timeToFirstTokenMs - place.waitedMs);
      watch.firstToken(timeToFirstTokenMs, promptTokens.length);
    } else {
      pace.token(tokenMs);
      watch.token(tokenMs);
    }

    const item = toItem(token, choice, options.text);
    const pushed = isEnd ? undefined : answerText.push(token, item);
    if (pushed) yield* show(pushed.shown);
    if (!isEnd && !pushed?.ending && sampled < limit) continue;

    // Freed before the last events are read: a slow reader holds no slot.
    session.close();
    place.leave();
    pace.ended(sampled);
    const { times } = hops;
    if (times.partsMs) watch.parts(times.partsMs);
    const rest = pushed?.ending ?? answerText.finish();
    yield* show(rest.shown);
    if (isEnd) yield* show([{ item, text: '' }]);
    yield {
      type: 'end',
      finishReason: isEnd || pushed?.ending ? 'stop' : 'length',
      text: rest.text,
      usage: { promptTokens: promptTokens.length, completionTokens },
      timeToFirstTokenMs,
      totalMs: performance.now() - options.startedAtMs,
      hops: hops.hops(session.shards.map(({ instanceId }) => instanceId)),
      times: { waitedMs: place.waitedMs, ...times },
      recoveries: session.recoveries,
    };
    return;
  }
}

function toItem(token: number, choice: TokenPayload | undefined, text: ModelText): Sampled {
  if (!choice) return { type: 'token', token };
  return {
    type: 'token',
    token,
    choice: {
      ...text.choice(token, choice.logprob),
      top: choice.top.map(([other, logprob]) => text.choice(other, logprob)),
    },
  };
}
