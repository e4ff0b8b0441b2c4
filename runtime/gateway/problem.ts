import { AiosError, type ErrorCode, errorCodes } from '../../sdk/errors.ts';

/** Seconds a client should wait before it repeats a call that was refused for load, where the error does not say. */
const retryAfterSeconds = 1;
const mostRetryAfterSeconds = 3600;

function retryAfterOf({ details }: AiosError): number {
  const seconds = Math.ceil(Number(details.retryAfterMs) / 1000);
  return seconds >= 1 ? Math.min(seconds, mostRetryAfterSeconds) : retryAfterSeconds;
}

/** Any fault as an error of ours; what is not ours says nothing about the inside of the process. */
export function toAiosError(fault: unknown, log: (line: string) => void): AiosError {
  if (AiosError.isInstance(fault)) {
    if (fault.code === 'INTERNAL') log(`internal error: ${describe(fault)}`);
    return fault;
  }
  log(`internal error: ${describe(fault)}`);
  return new AiosError('INTERNAL', 'the control plane failed; its log says why.');
}

const describe = (fault: unknown): string =>
  fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);

/** Headers that go with an error's status. */
export function errorHeaders(error: AiosError): Record<string, string> {
  const { http } = errorCodes[error.code];
  return {
    ...(error.retryable && (http === 429 || http === 503)
      ? { 'retry-after': String(retryAfterOf(error)) }
      : {}),
    ...(http === 401 ? { 'www-authenticate': 'Bearer' } : {}),
  };
}

/** `NOT_FOUND` → `Not found`. */
const titleOf = (code: ErrorCode): string => {
  const words = code.toLowerCase().replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
};

/**
 * RFC 9457 problem details. `type` is the code's place in the documentation; `code`, `retryable`, `problems` and
 * `details` are extensions.
 */
export function problemDetails(error: AiosError): Record<string, unknown> {
  const { code, message, ...rest } = error.serialize();
  return {
    type: `docs/errors.md#${code.toLowerCase()}`,
    title: titleOf(code),
    status: errorCodes[code].http,
    detail: message,
    code,
    ...rest,
  };
}

export function problemResponse(error: AiosError): Response {
  return new Response(JSON.stringify(problemDetails(error)), {
    status: errorCodes[error.code].http,
    headers: { 'content-type': 'application/problem+json', ...errorHeaders(error) },
  });
}
