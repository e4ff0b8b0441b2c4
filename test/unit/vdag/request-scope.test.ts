import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { openScope } from '../../../runtime/vdag/request-scope.ts';
import { AiosError } from '../../../sdk/errors.ts';

const later = () => Date.now() + 60_000;
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error) => AiosError.from(error).code,
  );

describe('a race with the end of a request', () => {
  test('is won by the work while there is time', async () => {
    const scope = openScope('it', later());
    expect(await scope.race(Promise.resolve(7))).toBe(7);
    expect(await codeOf(scope.race(Promise.reject(new AiosError('BUSY', 'full'))))).toBe('BUSY');
    scope.end();
  });

  test('is lost when the caller goes away or the time is up', async () => {
    const caller = new AbortController();
    const scope = openScope('it', later(), caller.signal);
    const never = scope.race(new Promise(() => {}));
    caller.abort();
    expect(await codeOf(never)).toBe('CANCELLED');
    expect(await codeOf(openScope('it', Date.now()).race(new Promise(() => {})))).toBe(
      'DEADLINE_EXCEEDED',
    );
  });

  test('after the end rejects with the reason, and what the work does then disturbs nobody', async () => {
    const unhandled: unknown[] = [];
    const listener = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', listener);
    const scope = openScope('it', later(), AbortSignal.abort(new AiosError('CLOSED', 'down')));
    expect(await codeOf(scope.race(Promise.reject(new Error('late'))))).toBe('CLOSED');
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off('unhandledRejection', listener);
    expect(unhandled).toEqual([]);
  });

  test('leaves no listener on what outlives it', () => {
    const caller = new AbortController();
    const scope = openScope('it', later(), caller.signal);
    expect(getEventListeners(caller.signal, 'abort')).toHaveLength(1);
    scope.end();
    expect(getEventListeners(caller.signal, 'abort')).toHaveLength(0);
  });
});
