import { AiosError } from '../../sdk/errors.ts';

export const bodyLimits = {
  jsonBytes: 16 * 2 ** 20,
  /** Brackets inside brackets. */
  jsonDepth: 64,
  /** From the first byte of a JSON body to its last. */
  jsonReadMs: 30_000,
} as const;

/**
 * Reads a bounded JSON body.
 *
 * @throws {AiosError} REQUEST_TOO_LARGE; REQUEST_INVALID - not JSON, or too deep; DEADLINE_EXCEEDED - it came too slowly
 */
export async function readJsonBody(request: Request): Promise<unknown> {
  const declared = Number(request.headers.get('content-length') ?? 0);
  if (declared > bodyLimits.jsonBytes) throw tooLarge(`${declared} bytes`);
  const text = await readText(request);
  if (text.trim() === '') {
    throw new AiosError('REQUEST_INVALID', 'the request has no body; expected JSON.');
  }
  checkDepth(text);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AiosError('REQUEST_INVALID', `the request's body is not JSON: ${reason}.`, { cause });
  }
}

async function readText(request: Request): Promise<string> {
  if (!request.body) return '';
  const reader = request.body.getReader();
  const slow = new AiosError(
    'DEADLINE_EXCEEDED',
    `the request's body did not arrive within ${bodyLimits.jsonReadMs} ms.`,
  );
  const late = setTimeout(() => void reader.cancel(slow), bodyLimits.jsonReadMs);
  const decoder = new TextDecoder();
  const startedAtMs = performance.now();
  let text = '';
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (performance.now() - startedAtMs > bodyLimits.jsonReadMs) throw slow;
      if (done) return text + decoder.decode();
      bytes += value.byteLength;
      if (bytes > bodyLimits.jsonBytes) throw tooLarge(`more than ${bodyLimits.jsonBytes} bytes`);
      text += decoder.decode(value, { stream: true });
    }
  } finally {
    clearTimeout(late);
    reader.releaseLock();
  }
}

const tooLarge = (seen: string) =>
  new AiosError(
    'REQUEST_TOO_LARGE',
    `the request's body has ${seen}; at most ${bodyLimits.jsonBytes} are read. Files go to PUT /api/artifacts/{hash}.`,
  );

/** Walks the text once: deep nesting would overflow the stack of whoever walks the value. */
function checkDepth(text: string): void {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (inString) {
      if (unit === 0x5c) at++;
      else if (unit === 0x22) inString = false;
    } else if (unit === 0x22) inString = true;
    else if (unit === 0x5b || unit === 0x7b) {
      depth++;
      if (depth > bodyLimits.jsonDepth) {
        throw new AiosError(
          'REQUEST_INVALID',
          `the request's JSON nests more than ${bodyLimits.jsonDepth} deep.`,
        );
      }
    } else if (unit === 0x5d || unit === 0x7d) depth--;
  }
}
