import type { AiosError, ErrorCode } from '../../sdk/errors.ts';

const firstMs = 1000;
const longestMs = 60_000;

/** Faults that the same model and the same options give again. */
const lasting = new Set<ErrorCode>(['SPLIT_INFEASIBLE', 'ALREADY_EXISTS', 'BUNDLE_FAILED']);

/** Whether the same attempt may go well later: not where the model, the options or the author's plan are wrong. */
export const mayHelp = ({ code, retryable }: AiosError): boolean =>
  !lasting.has(code) && (retryable || code === 'INTERNAL' || code === 'SPLITTER_FAILED');

/** 1 s, 4 s, 16 s, then a minute. */
export const backoffAfter = (attempt: number): number =>
  Math.min(firstMs * 4 ** (attempt - 1), longestMs);
