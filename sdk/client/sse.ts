import { AiosError } from '../errors.ts';

/** One event of a `text/event-stream`. */
export interface ServerSentEvent {
  /** @default 'message' */
  readonly event: string;
  /** `data` lines joined by a line feed. */
  readonly data: string;
}

/** Characters one event may hold before the stream is given up. */
export const maxEventCharacters = 64 * 2 ** 20;

/**
 * Reads events from text that arrives in pieces cut anywhere, a line end of two characters included.
 *
 * @returns takes the next piece, gives the events it completed; an unfinished last event is dropped, as the standard says
 * @throws {AiosError} REQUEST_TOO_LARGE - one event is longer than {@link maxEventCharacters}
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export function createEventParser(
  limit = maxEventCharacters,
): (piece: string) => ServerSentEvent[] {
  let started = false;
  let endedWithCarriageReturn = false;
  let line = '';
  let event = '';
  let data: string[] = [];
  let held = 0;

  const takeLine = (events: ServerSentEvent[]): void => {
    if (line === '') {
      if (data.length > 0) events.push({ event: event || 'message', data: data.join('\n') });
      event = '';
      data = [];
      held = 0;
      return;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    if (field === 'data') data.push(value);
    else if (field === 'event') event = value;
  };

  return (piece) => {
    let rest = piece;
    if (!started && rest !== '') {
      started = true;
      if (rest.startsWith('\uFEFF')) rest = rest.slice(1);
    }
    if (endedWithCarriageReturn && rest !== '') {
      if (rest.startsWith('\n')) rest = rest.slice(1);
      endedWithCarriageReturn = false;
    }
    const events: ServerSentEvent[] = [];
    const lines = rest.split(/\r\n|\r|\n/);
    for (const [index, part] of lines.entries()) {
      line += part;
      held += part.length;
      if (held > limit) {
        throw new AiosError(
          'REQUEST_TOO_LARGE',
          `one event of the stream is longer than ${limit} characters.`,
        );
      }
      if (index === lines.length - 1) break;
      takeLine(events);
      line = '';
    }
    endedWithCarriageReturn = rest.endsWith('\r');
    return events;
  };
}

/** The events of a response's body, as they arrive. Closes the body when the consumer stops. */
export async function* readEvents(
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<ServerSentEvent, void, void> {
  const decoder = new TextDecoder();
  const parse = createEventParser();
  for await (const chunk of body) yield* parse(decoder.decode(chunk, { stream: true }));
}
