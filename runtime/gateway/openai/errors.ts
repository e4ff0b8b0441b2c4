import { type AiosError, errorCodes, formatProblems } from '../../../sdk/errors.ts';
import { errorHeaders } from '../problem.ts';

/** Of the problems in a message; all are in `problems`. */
const maxShown = 100;

/** Our code, but for those that OpenAI's clients know by names of their own. */
function codeOf({ code, details }: AiosError): string {
  if (code === 'CONTEXT_LENGTH_EXCEEDED') return 'context_length_exceeded';
  return code === 'NOT_FOUND' && details.kind === 'model' ? 'model_not_found' : code;
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}

/** OpenAI's error object; `problems` is ours. */
export function openAiErrorBody(error: AiosError): { readonly error: Record<string, unknown> } {
  const { message, problems, details } = error.serialize();
  return {
    error: {
      // OpenAI's clients show nothing but this.
      message: problems ? `${message}\n${formatProblems(problems.slice(0, maxShown))}` : message,
      type: typeOf(errorCodes[error.code].http),
      param: problems?.[0]?.path.replace(/^\$\.?/, '') || null,
      code: codeOf(error),
      ...(problems ? { problems } : {}),
      ...(details ? { details } : {}),
    },
  };
}

export function openAiError(error: AiosError): Response {
  return new Response(JSON.stringify(openAiErrorBody(error)), {
    status: errorCodes[error.code].http,
    headers: { 'content-type': 'application/json', ...errorHeaders(error) },
  });
}
