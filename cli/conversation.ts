import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { ChatMessage, ChatRequest } from '../sdk/client/index.ts';
import { AiosError } from '../sdk/errors.ts';
import { type AnswerTiming, renderTiming, timingOf } from './answer-timing.ts';
import { orderHelp, readOrder } from './chat-orders.ts';
import type { Context } from './context.ts';

interface ConversationOptions {
  readonly system?: string | undefined;
  /** Says after each answer where its time went. @default false */
  readonly timings?: boolean | undefined;
  readonly request: Omit<ChatRequest, 'messages' | 'signal'>;
}

interface Answer {
  readonly text: string;
  readonly tokens: readonly number[];
  /** Ended by Ctrl-C. */
  readonly cancelled: boolean;
  readonly finishReason?: string;
  readonly completionTokens: number;
  readonly tokensPerSecond: number;
  /** As the server says; absent where it does not, or nobody asked. */
  readonly timings?: AnswerTiming;
}

/** Streams one answer to the terminal. */
async function ask(context: Context, request: ChatRequest, signal: AbortSignal): Promise<Answer> {
  const started = performance.now();
  let firstAt = started;
  let text = '';
  const tokens: number[] = [];
  const finish = (cancelled: boolean, finishReason?: string, counted?: number): Answer => {
    const completionTokens = counted || tokens.length;
    const seconds = (performance.now() - firstAt) / 1000;
    return {
      text,
      tokens,
      cancelled,
      ...(finishReason === undefined ? {} : { finishReason }),
      completionTokens,
      // The first token belongs to the prompt's time, so it is not counted.
      tokensPerSecond: seconds > 0 ? Math.max(0, completionTokens - 1) / seconds : 0,
    };
  };
  try {
    for await (const event of context.client.chat({ ...request, signal })) {
      if (event.type === 'end') {
        const timings = timingOf(event);
        return {
          ...finish(false, event.finishReason, event.completionTokens),
          ...(timings ? { timings } : {}),
        };
      }
      if (event.type === 'prompt') continue;
      if (tokens.length === 0) firstAt = performance.now();
      text += event.text;
      tokens.push(...event.tokens);
      if (!context.json) context.io.stdout.write(event.text);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return finish(true);
}

/**
 * Questions one line each, answers streamed; `/help` lists what else a line may be. Ctrl-C ends the answer; at the
 * prompt, twice, the program. Ends at `/exit` and at the end of input. From a pipe, a line that fails ends the
 * conversation with its error.
 */
export async function converse(context: Context, options: ConversationOptions): Promise<void> {
  const { io, style } = context;
  const interactive = Boolean(io.stdin.isTTY && io.stdout.isTTY) && !context.json;
  const messages: ChatMessage[] = [];
  const startAfresh = (): void => {
    messages.length = 0;
    if (options.system !== undefined) messages.push({ role: 'system', content: options.system });
  };
  startAfresh();

  const input = createInterface({
    input: io.stdin,
    ...(interactive && io.stdout instanceof Writable ? { output: io.stdout } : {}),
    terminal: interactive,
    prompt: style.accent('› '),
  });
  const waiting: string[] = [];
  let ended = false;
  let wake = (): void => {};
  let answering: AbortController | undefined;
  let warned = false;

  const leave = (): void => {
    ended = true;
    wake();
  };
  const interrupt = (): void => {
    if (answering) {
      answering.abort();
    } else if (warned) {
      leave();
    } else {
      warned = true;
      context.note(`\n${style.dim('Ctrl-C again, Ctrl-D or /exit leaves.')}`);
      if (interactive) input.prompt();
    }
  };
  input.on('line', (line) => {
    waiting.push(line);
    wake();
  });
  input.on('close', leave);
  // A terminal in raw mode gives Ctrl-C to readline; from elsewhere it comes as a signal.
  input.on('SIGINT', interrupt);
  const release = context.onInterrupt(interrupt);
  const stop = (): void => {
    answering?.abort();
    leave();
  };
  context.signal.addEventListener('abort', stop);

  const nextLine = async (): Promise<string | undefined> => {
    if (interactive && waiting.length === 0 && !ended) input.prompt();
    while (waiting.length === 0 && !ended) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return context.signal.aborted ? undefined : waiting.shift();
  };

  try {
    for (let line = await nextLine(); line !== undefined; line = await nextLine()) {
      const question = line.trim();
      warned = false;
      if (question === '') continue;
      try {
        const order = readOrder(line);
        if (order === 'exit') break;
        if (order === 'new') startAfresh();
        if (order === 'help') context.note(style.dim(orderHelp));
        if (order !== undefined) continue;
        answering = new AbortController();
        const asked: ChatMessage[] = [...messages, { role: 'user', content: question }];
        const request = { ...options.request, messages: asked };
        const answer = await ask(context, request, answering.signal);
        if (answer.text !== '' || !answer.cancelled) {
          messages.splice(0, messages.length, ...asked, {
            role: 'assistant',
            content: answer.text,
          });
        }
        showEnd(context, answer, interactive, options);
      } catch (error) {
        const failure = AiosError.from(error);
        const full = failure.code === 'CONTEXT_LENGTH_EXCEEDED';
        const next = full ? 'The conversation is too long for the model: /new starts another.' : '';
        if (!interactive) {
          if (full) context.note(next);
          throw error;
        }
        context.note(`\n${style.bad(failure.code)} ${failure.message}${next && `\n${next}`}`);
      } finally {
        answering = undefined;
      }
    }
  } finally {
    release();
    context.signal.removeEventListener('abort', stop);
    input.close();
  }
}

function showEnd(
  context: Context,
  answer: Answer,
  interactive: boolean,
  options: ConversationOptions,
): void {
  const { style } = context;
  const { timings, ...rest } = answer;
  if (context.json) {
    context.print(JSON.stringify(options.timings ? answer : rest));
    return;
  }
  const { maxTokens = Number.POSITIVE_INFINITY } = options.request;
  context.print('');
  const cut = answer.finishReason === 'length';
  const full = cut && answer.completionTokens < maxTokens;
  if (full) context.note(style.warn('  cut: the model’s context is full; /new starts another.'));
  if (options.timings) {
    context.note(
      style.dim(timings ? renderTiming(timings, context) : '  the server says no times.'),
    );
  }
  if (!interactive) return;
  const speed = `${answer.completionTokens} tokens, ${answer.tokensPerSecond.toFixed(0)} a second`;
  const end = answer.cancelled ? 'stopped; ' : cut && !full ? 'cut at --max-tokens; ' : '';
  context.note(style.dim(`  ${end}${speed}`));
}
