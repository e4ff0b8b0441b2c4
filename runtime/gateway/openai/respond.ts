import { randomUUID } from 'node:crypto';
import { AiosError } from '../../../sdk/errors.ts';
import type { GenerateRequest, GenerationDriver, GenerationEvent } from '../../vdag/index.ts';
import { toAiosError } from '../problem.ts';
import { doneEvent, eventStream, type OutgoingEvent } from '../sse.ts';
import { type AnswerPart, type AnswerShape, usageOf } from './answer-shape.ts';
import { openAiErrorBody } from './errors.ts';

export interface RespondOptions {
  readonly driver: GenerationDriver;
  readonly request: GenerateRequest;
  readonly shape: AnswerShape;
  /** As the client wrote it. */
  readonly model: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly returnTokenIds: boolean;
  readonly log: (line: string) => void;
}

type EndEvent = Extract<GenerationEvent, { type: 'end' }>;

/** Answers whole, or as a stream that begins with the first token, so that a refusal is an error status. */
export async function respond(options: RespondOptions): Promise<Response> {
  const events = options.driver.generate(options.request)[Symbol.asyncIterator]();
  const head = {
    id: `${options.shape.idPrefix}-${randomUUID().replaceAll('-', '')}`,
    created: Math.floor(Date.now() / 1000),
    model: options.model,
  };
  if (!options.stream) {
    try {
      return Response.json(await wholeAnswer(options, head, events));
    } finally {
      // Its last event is not its end: what the answer holds is given back when it is told that nobody reads on.
      await events.return?.();
    }
  }
  const { promptTokens, first } = await readUntilToken(events);
  const chunks = streamedAnswer(options, head, promptTokens, first, events);
  return eventStream(stoppable(chunks, events), (fault) => ({
    data: openAiErrorBody(toAiosError(fault, options.log)),
  }));
}

async function wholeAnswer(
  { shape, returnTokenIds }: RespondOptions,
  head: object,
  events: AsyncIterator<GenerationEvent>,
): Promise<object> {
  const { promptTokens, first } = await readUntilToken(events);
  const tokens: Extract<GenerationEvent, { type: 'token' }>[] = [];
  let text = '';
  for (let event = first; ; event = await nextOf(events)) {
    if (event.type === 'prompt') continue;
    text += event.text;
    if (event.type === 'token') {
      tokens.push(event);
      continue;
    }
    const choice = shape.wholeChoice({ text, tokens, offset: 0, finishReason: event.finishReason });
    return {
      ...head,
      object: shape.wholeObject,
      choices: [{ ...choice, ...tokenIds(returnTokenIds, tokens) }],
      usage: usageOf(event.usage),
      ...(returnTokenIds ? { prompt_token_ids: promptTokens } : {}),
      aios: measurements(event),
    };
  }
}

async function* streamedAnswer(
  { shape, includeUsage, returnTokenIds }: RespondOptions,
  head: object,
  promptTokens: readonly number[],
  first: GenerationEvent,
  events: AsyncIterator<GenerationEvent>,
): AsyncGenerator<OutgoingEvent, void, void> {
  // OpenAI's clients expect the key on every chunk once usage was asked for.
  const base = { ...head, object: shape.chunkObject, ...(includeUsage ? { usage: null } : {}) };
  let extra = returnTokenIds ? { prompt_token_ids: promptTokens } : {};
  const chunk = (choice: object, more: object = {}): OutgoingEvent => {
    const data = { ...base, choices: [choice], ...extra, ...more };
    extra = {};
    return { data };
  };

  if (shape.openingChoice) yield chunk(shape.openingChoice);
  let offset = 0;
  for (let event = first; ; event = await nextOf(events)) {
    if (event.type === 'prompt') continue;
    const tokens = event.type === 'token' ? [event] : [];
    const finishReason = event.type === 'end' ? event.finishReason : null;
    const part: AnswerPart = { text: event.text, tokens, offset, finishReason };
    offset += event.text.length;
    const choice = { ...shape.chunkChoice(part), ...tokenIds(returnTokenIds, tokens) };
    if (event.type === 'end') {
      // Before the last chunks: a slow reader holds nothing.
      await events.return?.();
      yield chunk(choice, { aios: measurements(event) });
      if (includeUsage) yield { data: { ...base, choices: [], usage: usageOf(event.usage) } };
      yield doneEvent;
      return;
    }
    if (event.text !== '' || event.choice || returnTokenIds) yield chunk(choice);
  }
}

const tokenIds = (wanted: boolean, tokens: readonly { readonly token: number }[]) =>
  wanted ? { token_ids: tokens.map(({ token }) => token) } : {};

/** Ours, beside OpenAI's fields: where the time went. */
const measurements = ({ timeToFirstTokenMs, totalMs, times, hops }: EndEvent) => ({
  timeToFirstTokenMs,
  totalMs,
  ...times,
  hops,
});

async function readUntilToken(
  events: AsyncIterator<GenerationEvent>,
): Promise<{ readonly promptTokens: readonly number[]; readonly first: GenerationEvent }> {
  let promptTokens: readonly number[] = [];
  for (;;) {
    const event = await nextOf(events);
    if (event.type !== 'prompt') return { promptTokens, first: event };
    promptTokens = event.tokens;
  }
}

async function nextOf(events: AsyncIterator<GenerationEvent>): Promise<GenerationEvent> {
  const next = await events.next();
  if (!next.done) return next.value;
  throw new AiosError('INTERNAL', 'the answer ended without saying why.');
}

/** Ends the answer itself too, also when the client went away before the first chunk was read. */
function stoppable(
  chunks: AsyncGenerator<OutgoingEvent, void, void>,
  events: AsyncIterator<GenerationEvent>,
): AsyncIterator<OutgoingEvent> {
  return {
    next: () => chunks.next(),
    async return() {
      await events.return?.();
      return chunks.return();
    },
  };
}
