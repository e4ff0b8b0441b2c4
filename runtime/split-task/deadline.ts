import { AiosError } from '../../sdk/errors.ts';
import { linkSignals } from '../linked-signal.ts';
import { requestLimits, type SplitRequest } from './request.ts';

/**
 * Aborts an attempt that takes too long.
 *
 * @throws {AiosError} DEADLINE_EXCEEDED - it was aborted for that
 */
export async function withDeadline<T>(
  { attemptTimeoutMs = requestLimits.defaultAttemptTimeoutMs }: SplitRequest,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), attemptTimeoutMs);
  const either = linkSignals(signal, late.signal);
  try {
    return await work(either.signal);
  } catch (thrown) {
    if (!late.signal.aborted || signal.aborted) throw thrown;
    throw new AiosError(
      'DEADLINE_EXCEEDED',
      `the attempt took longer than ${attemptTimeoutMs / 1000} s. Allow more with attemptTimeoutMs.`,
      { cause: thrown },
    );
  } finally {
    clearTimeout(timer);
    either.release();
  }
}
