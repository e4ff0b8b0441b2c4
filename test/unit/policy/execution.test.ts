import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createExecutors } from '../../../runtime/policy/execution/executors.ts';
import { createSlots } from '../../../runtime/policy/execution/slots.ts';
import { AiosError, PolicyError } from '../../../sdk/errors.ts';

afterEach(() => vi.useRealTimers());

/** A task that ends when it is told to. */
function held<T>(value: T) {
  let end: (result: T) => void = () => undefined;
  const ended = new Promise<T>((resolve) => {
    end = resolve;
  });
  return { task: () => ended, end: () => end(value) };
}
const patient = { timeLimitMs: 60_000 };
const codeOf = (run: Promise<unknown>) =>
  run.then(
    () => 'done',
    (fault: unknown) => AiosError.from(fault).code,
  );

describe('slots', () => {
  it('are taken in order, and the calls past those that may wait are told so', async () => {
    const inSlot = createSlots({ what: 'it', atOnce: 1, waiting: 2 });
    const first = held(1);
    const order: string[] = [];
    const running = inSlot(patient, first.task);
    const waiting = ['b', 'c'].map((name) => inSlot(patient, async () => order.push(name)));

    expect(await codeOf(inSlot(patient, async () => 4))).toBe('BUSY');
    first.end();
    expect(await running).toBe(1);
    await Promise.all(waiting);
    expect(order).toEqual(['b', 'c']);
    expect(await inSlot(patient, async () => 5)).toBe(5);
  });

  it('are waited for as long as a call may take, and no longer', async () => {
    vi.useFakeTimers();
    const inSlot = createSlots({ what: 'it', atOnce: 1, waiting: 2 });
    const first = held(1);
    const running = inSlot(patient, first.task);
    const late = codeOf(inSlot({ timeLimitMs: 50 }, async () => 2));
    await vi.advanceTimersByTimeAsync(50);
    expect(await late).toBe('BUSY');

    const left = inSlot({ timeLimitMs: 50 }, async (leftMs) => leftMs);
    await vi.advanceTimersByTimeAsync(20);
    first.end();
    expect(await left).toBe(30);
    await running;
  });

  it('are left by who is cancelled, before or while it waits', async () => {
    const inSlot = createSlots({ what: 'it', atOnce: 1, waiting: 1 });
    const first = held(1);
    const running = inSlot(patient, first.task);
    const controller = new AbortController();
    const { signal } = controller;
    const cancelled = codeOf(inSlot({ ...patient, signal }, async () => 2));
    controller.abort();

    expect(await cancelled).toBe('CANCELLED');
    expect(await codeOf(inSlot({ ...patient, signal }, async () => 3))).toBe('CANCELLED');
    const next = inSlot(patient, async () => 4);
    first.end();
    expect(await Promise.all([running, next])).toEqual([1, 4]);
  });

  it('are never more than there are, and none is lost, whatever fails or goes away', async () => {
    const call = fc.record({
      turns: fc.nat({ max: 5 }),
      fails: fc.boolean(),
      leavesAfter: fc.option(fc.nat({ max: 5 })),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(call, { maxLength: 30 }),
        async (atOnce, calls) => {
          const inSlot = createSlots({ what: 'it', atOnce, waiting: 100 });
          let running = 0;
          let most = 0;
          const turns = async (count: number) => {
            for (let at = 0; at < count; at += 1) await Promise.resolve();
          };
          const ended = calls.map(async ({ turns: count, fails, leavesAfter }) => {
            const controller = new AbortController();
            if (leavesAfter !== null) void turns(leavesAfter).then(() => controller.abort());
            const { signal } = controller;
            return inSlot({ ...patient, signal }, async () => {
              running += 1;
              most = Math.max(most, running);
              await turns(count);
              running -= 1;
              if (fails) throw new Error('failed');
            });
          });
          await Promise.allSettled(ended);
          expect(most).toBeLessThanOrEqual(atOnce);
          // All slots are free again: as many as there are can be held at once.
          const last = Array.from({ length: atOnce }, (_, at) => held(at));
          const taken = last.map(({ task }) => inSlot(patient, task));
          for (const { end } of last) end();
          expect(await Promise.all(taken)).toEqual(last.map((_, at) => at));
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('an executor', () => {
  const open = () =>
    createExecutors([{ id: 'python', url: 'http://127.0.0.1:1/base' }]).get('python');
  const failing = (code: 'POLICY_UNREACHABLE' | 'POLICY_TIMEOUT' | 'CANCELLED' | 'POLICY_THREW') =>
    vi.fn(async () => {
      throw new PolicyError(code, 'no.');
    });
  const ask = async (
    executor: ReturnType<typeof open>,
    policy: string,
    task: () => Promise<unknown>,
    times = 1,
  ) => {
    for (let at = 0; at < times; at += 1)
      await codeOf(executor.inTurn({ ...patient, policy }, task));
  };

  it('is not asked for a policy that stayed silent five times, then once more, then again if it answers', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const executor = open();
    const silent = failing('POLICY_TIMEOUT');
    await ask(executor, 'a', silent, 8);
    expect(silent).toHaveBeenCalledTimes(5);

    vi.setSystemTime(Date.now() + 2000);
    await ask(executor, 'a', silent, 3);
    expect(silent).toHaveBeenCalledTimes(6);

    vi.setSystemTime(Date.now() + 2000);
    const answering = vi.fn(async () => 1);
    await ask(executor, 'a', answering, 3);
    expect(answering).toHaveBeenCalledTimes(3);
  });

  it('is asked for other policies meanwhile', async () => {
    const executor = open();
    await ask(executor, 'a', failing('POLICY_UNREACHABLE'), 6);
    const answering = vi.fn(async () => 1);
    await ask(executor, 'b', answering);
    expect(answering).toHaveBeenCalledTimes(1);
  });

  it.each([
    ['an answer that is wrong shows that it is there', 'POLICY_THREW', 5],
    ['a caller that went away says nothing of it', 'CANCELLED', 1],
  ] as const)('is counted right: %s', async (_, code, asked) => {
    const executor = open();
    await ask(executor, 'a', failing('POLICY_TIMEOUT'), 4);
    await ask(executor, 'a', failing(code));
    const silent = failing('POLICY_TIMEOUT');
    await ask(executor, 'a', silent, 9);
    expect(silent).toHaveBeenCalledTimes(asked);
  });

  it('keeps the path of its URL, and never tells its token', () => {
    const given = { id: 'python', url: 'http://127.0.0.1:1/base', token: ' secret\n' };
    const executor = createExecutors([given]).get('python');
    expect(executor.endpoint('execute_policy').href).toBe('http://127.0.0.1:1/base/execute_policy');
    expect(executor.headers).toEqual({ authorization: 'Bearer secret' });
    expect(executor.conceal('got Bearer secret twice: secret')).toBe('got Bearer … twice: …');
  });

  it.each(['two\nlines', 'a blank', 'ütf'])(
    'refuses a token that no header carries: %j',
    (token) => {
      const creating = () => createExecutors([{ id: 'python', url: 'http://127.0.0.1:1', token }]);
      expect(creating).toThrow(/token of policy executor 'python'/);
      expect(creating).not.toThrow(token);
    },
  );

  it('is named once', () => {
    const one = { id: 'python', url: 'http://127.0.0.1:1' };
    expect(() => createExecutors([one, one])).toThrow(/named twice/);
  });
});
