/** One event of a `text/event-stream`; the data is sent as JSON, `[DONE]` as it stands. */
export interface OutgoingEvent {
  readonly event?: string;
  readonly data: unknown;
}

export const doneEvent: OutgoingEvent = { data: '[DONE]' };

const heartbeatMs = 15_000;

/**
 * Streams events as they come and no faster than they are read. When the client goes away the iterator is ended.
 *
 * @param toErrorEvent - what is sent in place of the rest when the iterator throws; the stream then ends
 */
export function eventStream(
  events: AsyncIterator<OutgoingEvent>,
  toErrorEvent: (fault: unknown) => OutgoingEvent,
): Response {
  const encoder = new TextEncoder();
  let timer: NodeJS.Timeout | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      // A comment, so that proxies and clients see that an idle stream is alive.
      timer = setInterval(() => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(': waiting\n\n'));
      }, heartbeatMs);
      timer.unref();
    },
    async pull(controller) {
      try {
        const next = await events.next();
        if (!next.done) return controller.enqueue(encoder.encode(format(next.value)));
      } catch (fault) {
        controller.enqueue(encoder.encode(format(toErrorEvent(fault))));
      }
      clearInterval(timer);
      controller.close();
    },
    async cancel() {
      clearInterval(timer);
      await events.return?.();
    },
  });
  return new Response(body, {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      // Reverse proxies that buffer would hold tokens back.
      'x-accel-buffering': 'no',
    },
  });
}

function format({ event, data }: OutgoingEvent): string {
  const text = data === doneEvent.data ? String(data) : JSON.stringify(data);
  return `${event === undefined ? '' : `event: ${event}\n`}data: ${text}\n\n`;
}
