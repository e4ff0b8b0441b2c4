import { describe, expect, test } from 'vitest';
import { withDeadline } from '../../../runtime/split-task/deadline.ts';
import type { SplitRequest } from '../../../runtime/split-task/request.ts';
import { waitersOf } from '../../support/signal.ts';

const request = (attemptTimeoutMs: number) => ({ attemptTimeoutMs }) as SplitRequest;
const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('aborted')));
  });

describe('an attempt', () => {
  test('leaves nothing with the signal that outlives it, however it ends', async () => {
    const { signal } = new AbortController();
    for (let attempt = 0; attempt < 20; attempt += 1) {
      await withDeadline(request(60_000), signal, async (either) => {
        expect(waitersOf(signal)).toBe(1);
        expect(either.aborted).toBe(false);
      });
      await expect(
        withDeadline(request(60_000), signal, () => Promise.reject(new Error('broken'))),
      ).rejects.toThrow('broken');
    }
    await expect(withDeadline(request(1), signal, untilAborted)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });

    expect(waitersOf(signal)).toBe(0);
  });

  test('ends when it is cancelled, and says no deadline passed', async () => {
    const caller = new AbortController();
    const attempt = withDeadline(request(60_000), caller.signal, untilAborted);
    caller.abort();

    await expect(attempt).rejects.toThrow('aborted');
  });
});
