import { endpointOf } from './endpoint.ts';
import { otlpBody } from './otlp-json.ts';
import type { Attributes, FinishedSpan } from './span.ts';
import type { SpanSink } from './tracer.ts';

export interface OtlpExporterOptions {
  /** All of it, path included. May hold a name and a password, which are sent as a header: never logged. */
  readonly url: string;
  /** May hold keys: never logged. */
  readonly headers: Readonly<Record<string, string>>;
  readonly resource: Attributes;
  /** Of one request. @default 10000 */
  readonly timeoutMs?: number;
  /** Spans wait this long for others. @default 5000 */
  readonly delayMs?: number;
  /** Spans that wait; one more is dropped. @default 2048 */
  readonly maxQueue?: number;
  /** Spans of one request. @default 512 */
  readonly maxBatch?: number;
  readonly log: (line: string) => void;
}

const attempts = 4;
const firstRetryMs = 500;
const maxRetryMs = 30_000;
/** At the end nobody waits longer for a collector that does not answer. */
const closeMs = 2000;
/** What OTLP calls retryable. */
const retryable = new Set([429, 502, 503, 504]);

class Refused extends Error {
  readonly retryAfterMs: number | undefined;

  constructor(status: number, retryAfter: string | null) {
    super(`it answered ${status}`);
    const seconds = Number(retryAfter);
    this.retryAfterMs = retryable.has(status) ? seconds * 1000 || firstRetryMs : undefined;
  }
}

/** Sends spans in batches to an OpenTelemetry collector by OTLP over HTTP, as JSON. */
export function createOtlpExporter(options: OtlpExporterOptions): SpanSink {
  const { timeoutMs = 10_000, delayMs = 5000, maxQueue = 2048, maxBatch = 512, log } = options;
  const { url, headers } = endpointOf(options.url, options.headers);
  const queue: FinishedSpan[] = [];
  const ending = new AbortController();
  let exported = 0;
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> | undefined;
  let said: string | undefined;

  /** Once for each new trouble, and once when it is over. */
  function say(trouble: string | undefined): void {
    if (trouble === said) return;
    log(
      trouble === undefined
        ? `traces reach ${url.host} again`
        : `traces cannot be exported to ${url.host}: ${trouble}`,
    );
    said = trouble;
  }

  async function post(body: string, signal: AbortSignal): Promise<void> {
    const response = await fetch(url, {
      ...{ method: 'POST', headers, body },
      // A redirect would be given the headers, too.
      redirect: 'error',
      signal,
    });
    await response.arrayBuffer();
    if (!response.ok) throw new Refused(response.status, response.headers.get('retry-after'));
  }

  /** Not AbortSignal.any: it keeps an entry for every request in the signal that lives longest. */
  async function postInTime(body: string): Promise<void> {
    const controller = new AbortController();
    const stop = () => controller.abort();
    const late = setTimeout(stop, timeoutMs).unref();
    ending.signal.addEventListener('abort', stop);
    if (ending.signal.aborted) stop();
    try {
      await post(body, controller.signal);
    } finally {
      clearTimeout(late);
      ending.signal.removeEventListener('abort', stop);
    }
  }

  /** How long to wait before the next attempt; undefined: there is none. */
  function retryAfter(fault: unknown, attempt: number): number | undefined {
    if (attempt >= attempts || ending.signal.aborted) return undefined;
    const asked = fault instanceof Refused ? fault.retryAfterMs : firstRetryMs;
    return asked === undefined ? undefined : Math.min(asked * 2 ** (attempt - 1), maxRetryMs);
  }

  async function send(spans: readonly FinishedSpan[]): Promise<void> {
    const body = otlpBody(spans, options.resource);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await postInTime(body);
        exported += spans.length;
        return say(undefined);
      } catch (fault) {
        const waitMs = retryAfter(fault, attempt);
        // Not the message of fetch, which may repeat the address.
        say(fault instanceof Refused ? fault.message : 'it does not answer');
        if (waitMs === undefined) {
          dropped += spans.length;
          return;
        }
        await new Promise<void>((resolve) => {
          const done = () => {
            clearTimeout(waiting);
            ending.signal.removeEventListener('abort', done);
            resolve();
          };
          const waiting = setTimeout(done, waitMs).unref();
          ending.signal.addEventListener('abort', done);
        });
      }
    }
  }

  function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    sending ??= (async () => {
      while (queue.length > 0) await send(queue.splice(0, maxBatch));
    })().finally(() => {
      sending = undefined;
    });
    return sending;
  }

  return {
    add(span) {
      if (queue.length >= maxQueue || ending.signal.aborted) {
        dropped += 1;
        return;
      }
      queue.push(span);
      if (queue.length >= maxBatch) void flush();
      else timer ??= setTimeout(() => void flush(), delayMs).unref();
    },
    get exported() {
      return exported;
    },
    get dropped() {
      return dropped;
    },
    async close() {
      const late = setTimeout(() => ending.abort(), closeMs);
      await flush();
      clearTimeout(late);
      ending.abort();
    },
  };
}
