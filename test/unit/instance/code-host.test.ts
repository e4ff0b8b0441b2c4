import { expect, test } from 'vitest';
import { z } from 'zod';
import { createCodeHost } from '../../../runtime/instance/code-host.ts';
import { defineBlock } from '../../../sdk/index.ts';

test('the signal of a packet aborts when its host closes or nobody reads, and not after its answer', async () => {
  const signals: AbortSignal[] = [];
  const block = defineBlock({
    input: z.boolean(),
    output: z.boolean(),
    onData({ data }, { signal }) {
      signals.push(signal);
      if (!data) return data;
      return new Promise<boolean>((resolve) =>
        signal.addEventListener('abort', () => resolve(true)),
      );
    },
  });
  const host = await createCodeHost({
    boot: { blockId: 'b', instanceId: 'i' } as never,
    workload: {
      type: 'code',
      file: 'f',
      entry: 'default',
      initData: {},
      settings: {},
      parameters: {},
    },
    block,
    emptyResidentBytes: 0,
    log() {},
  });
  let sequence = 0;
  const ask = async (waits: boolean, signal = new AbortController().signal) => {
    sequence += 1;
    const packet = { sessionId: 's', sequence, data: waits, createdAtMs: 0 };
    const request = { packet, parameters: {}, deadlineMs: Number.POSITIVE_INFINITY, signal };
    for await (const { packet } of host.infer?.(request) ?? []) return packet.data;
    return undefined;
  };
  const until = async (count: number) => {
    while (signals.length < count) await new Promise((resolve) => setImmediate(resolve));
  };

  expect(await ask(false)).toBe(false);
  const caller = new AbortController();
  const left = ask(true, caller.signal).catch((error: Error) => error.message);
  await until(2);
  caller.abort(new Error('left'));
  expect(await left).toBe('left');
  const under = ask(true);
  await until(3);
  await host.close();
  expect(await under).toBe(true);
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, true, true]);
  expect(signals[2]?.reason).toMatchObject({ code: 'SHARD_UNAVAILABLE' });
  await expect(ask(false)).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
});
