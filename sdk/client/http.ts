import { AiosError, ClientError, type ErrorCode, errorCodes, type Problem } from '../errors.ts';
import { readEvents } from './sse.ts';

export interface ConnectOptions {
  /** Sent as a bearer token. */
  readonly apiKey?: string | undefined;
  /** For tests and proxies. @default the global one */
  readonly fetch?: typeof globalThis.fetch;
  /** Aborts every call that has no signal of its own. */
  readonly signal?: AbortSignal | undefined;
}

export interface CallOptions {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as they are. */
  readonly bytes?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
  /** How long the server may take in all. @default the server's own limit */
  readonly timeoutMs?: number | undefined;
}

/** Asks one control plane. Everything but the happy path is an {@link AiosError}. */
export interface Http {
  /** @returns the answer's JSON; undefined for an empty one */
  json<T>(path: string, options?: CallOptions): Promise<T>;
  /** @returns whether it exists */
  exists(path: string, signal?: AbortSignal): Promise<boolean>;
  /** The data of each server-sent event until the end or `[DONE]`. An `error` event is thrown. */
  events<T>(path: string, options?: CallOptions): AsyncGenerator<T, void, void>;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function toCode(value: unknown): ErrorCode | undefined {
  const name = typeof value === 'string' ? value.toUpperCase() : '';
  return Object.hasOwn(errorCodes, name) ? (name as ErrorCode) : undefined;
}

const codeOfStatus: Readonly<Record<number, ErrorCode>> = {
  400: 'REQUEST_INVALID',
  401: 'UNAUTHENTICATED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  409: 'STORE_CONFLICT',
  413: 'REQUEST_TOO_LARGE',
  429: 'BUSY',
  503: 'CONNECTION_FAILED',
  504: 'DEADLINE_EXCEEDED',
};

/** Reads RFC 9457 problem details, OpenAI's `{error}` or our serialized error. */
export function toError(body: unknown, status: number, subject: string): AiosError {
  const outer = isObject(body) ? body : {};
  const error = isObject(outer.error) ? outer.error : outer;
  const code = toCode(error.code) ?? codeOfStatus[status] ?? 'INTERNAL';
  const text = error.message ?? error.detail ?? error.title;
  const message =
    typeof text === 'string' && text !== '' ? text : `${subject} answered HTTP status ${status}.`;
  return AiosError.deserialize({
    code,
    message,
    retryable: typeof error.retryable === 'boolean' ? error.retryable : errorCodes[code].retryable,
    ...(Array.isArray(error.problems) ? { problems: error.problems as Problem[] } : {}),
    ...(isObject(error.details) ? { details: error.details } : {}),
  });
}

async function parseJson(response: Response): Promise<unknown> {
  const text = await response.text();
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    if (!response.ok) return undefined;
    throw new ClientError(
      'CONNECTION_FAILED',
      `${response.url} did not answer JSON: is it a control plane of aios?`,
    );
  }
}

function bodyOf(options: CallOptions): { body?: NonNullable<RequestInit['body']>; type?: string } {
  if (options.json !== undefined) {
    return { body: JSON.stringify(options.json), type: 'application/json' };
  }
  if (options.bytes === undefined) return {};
  return {
    body: options.bytes as NonNullable<RequestInit['body']>,
    type: 'application/octet-stream',
  };
}

/** @param base - without a slash at its end */
export function createHttp(base: string, options: ConnectOptions): Http {
  const send = options.fetch ?? globalThis.fetch;

  const failure = (cause: unknown, signal: AbortSignal | undefined): AiosError => {
    if (AiosError.isInstance(cause)) return cause;
    if (signal?.aborted) {
      return AiosError.isInstance(signal.reason)
        ? signal.reason
        : new AiosError('CANCELLED', 'the request was cancelled.', { cause });
    }
    const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    const code = isObject(inner) ? inner.code : undefined;
    const reason = typeof code === 'string' ? code : inner instanceof Error ? inner.message : inner;
    if (reason === 'bad port') {
      return new ClientError(
        'REQUEST_INVALID',
        `${base} is on a port that HTTP clients never ask (https://fetch.spec.whatwg.org/#port-blocking); use another.`,
        { cause },
      );
    }
    return new ClientError(
      'CONNECTION_FAILED',
      `no answer from the control plane (${reason}); is \`aios up\` running at ${base}? Another address: --url or AIOS_URL.`,
      { cause },
    );
  };

  const signalOf = (request: CallOptions): AbortSignal | undefined =>
    request.signal ?? options.signal;

  const call = async (path: string, request: CallOptions, accept: string): Promise<Response> => {
    const { body, type } = bodyOf(request);
    const signal = signalOf(request);
    const init: RequestInit = {
      method: request.method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        accept,
        ...(type ? { 'content-type': type } : {}),
        ...(request.timeoutMs ? { 'aios-timeout-ms': String(request.timeoutMs) } : {}),
        ...(options.apiKey ? { authorization: `Bearer ${options.apiKey}` } : {}),
      },
      ...(body === undefined ? {} : { body }),
      ...(request.bytes === undefined ? {} : { duplex: 'half' as const }),
      ...(signal ? { signal } : {}),
    };
    try {
      return await send(`${base}${path}`, init);
    } catch (error) {
      throw failure(error, signalOf(request));
    }
  };

  const checked = async (path: string, request: CallOptions, accept: string): Promise<Response> => {
    const response = await call(path, request, accept);
    if (response.ok) return response;
    const body = await parseJson(response).catch(() => undefined);
    throw toError(body, response.status, `${base}${path}`);
  };

  return {
    async json<T>(path: string, request: CallOptions = {}) {
      const response = await checked(path, request, 'application/json');
      try {
        return (await parseJson(response)) as T;
      } catch (error) {
        throw failure(error, signalOf(request));
      }
    },

    async exists(path, signal) {
      const response = await call(path, { method: 'HEAD', signal }, '*/*');
      if (response.ok) return true;
      if (response.status === 404) return false;
      throw toError(undefined, response.status, `${base}${path}`);
    },

    async *events<T>(path: string, request: CallOptions = {}) {
      const response = await checked(path, request, 'text/event-stream');
      if (!response.body) return;
      try {
        for await (const { event, data } of readEvents(response.body)) {
          if (data === '[DONE]') return;
          const value: unknown = JSON.parse(data);
          const failed = event === 'error' || (isObject(value) && isObject(value.error));
          if (failed) throw toError(value, 500, `${base}${path}`);
          yield value as T;
        }
      } catch (error) {
        throw failure(error, signalOf(request));
      }
    },
  };
}
