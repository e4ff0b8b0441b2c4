import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createGraphHost } from '../../../runtime/instance/graph-host.ts';
import type { Workload } from '../../../runtime/instance/workload.ts';
import type { GraphExecutor, GraphRun } from '../../../runtime/model/index.ts';
import { joinOutputs, takeInputs } from '../../../runtime/model/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import type { GraphSpec } from '../../../sdk/spec/component.ts';
import { floats } from '../../support/onnx-split.ts';

const graph: GraphSpec = {
  ...{ stageHash: 'x', index: 0, count: 1, passes: [], graph: 'graph.onnx', files: [] },
  inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 2] }],
  outputs: [{ name: 'y', dtype: 'float32' }],
};

interface Begun {
  readonly first: number;
  end(): void;
}

/** Computes one after the other, each for as long as the test says. */
function manualExecutor() {
  const begun: Begun[] = [];
  const line: (() => void)[] = [];
  let busy = false;
  const next = () => {
    busy = false;
    line.shift()?.();
  };
  const executor: GraphExecutor = {
    emptyResidentBytes: 1,
    run: (inputs, signal) =>
      new Promise<GraphRun>((resolve, reject) => {
        const begin = () => {
          if (signal?.aborted) {
            reject(AiosError.from(signal.reason));
            next();
            return;
          }
          busy = true;
          const x = inputs.x?.data ?? new Uint8Array();
          const outputs = { y: floats([1], () => 1) };
          const end = () => {
            resolve({ outputs, computeNs: 2e6 });
            next();
          };
          begun.push({ first: new DataView(x.buffer, x.byteOffset).getFloat32(0, true), end });
        };
        if (busy) line.push(begin);
        else begin();
      }),
    close: async () => {},
  };
  return { executor, begun };
}

const settle = () => pause(1);

function start() {
  const { executor, begun } = manualExecutor();
  const shards = { takeInputs, joinOutputs };
  const host = createGraphHost({ instanceId: 'graph-0', graph, executor, shards });
  let sequence = 0;
  const ask = (
    first: number,
    more: Partial<Parameters<Workload['infer']>[0]> & {
      sessionId?: string;
      shape?: number[];
      caller?: AbortController;
    } = {},
  ) => {
    const { sessionId = `s${first}`, shape = [1, 2], caller, ...rest } = more;
    const { data } = floats(shape, () => first);
    const answers = host.infer({
      packet: {
        ...{ sessionId, sequence: sequence++, data: {}, createdAtMs: 0 },
        tensors: { x: { dtype: 'float32', shape, data } },
      },
      parameters: {},
      deadlineMs: Number.POSITIVE_INFINITY,
      signal: caller?.signal ?? new AbortController().signal,
      receivedBytes: data.byteLength,
      ...rest,
    });
    return (async () => {
      for await (const { packet } of answers) return packet.tensors;
      return undefined;
    })().catch((error: unknown) => AiosError.from(error).code);
  };
  const counters = () => {
    const read = host.counters?.();
    if (!read) throw new Error('no counters');
    return read;
  };
  /** Lets all that is there compute. @returns the packets in the order in which they did */
  const runAll = async () => {
    for (let at = 0; ; at += 1) {
      await settle();
      const one = begun[at];
      if (!one) return begun.map(({ first }) => first);
      one.end();
    }
  };
  return { host, ask, begun, counters, runAll };
}

const gone = () => new AiosError('CANCELLED', 'the caller went away.');

describe('a shard of a graph', () => {
  it('counts packets, bytes, its line and its time, and tells of traced ones', async () => {
    const { host, ask, counters, runAll, begun } = start();
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    const answers = [ask(0, { traceparent }), ask(1), ask(2), ask(3)];
    await settle();
    expect(counters()).toMatchObject({ openSessions: 4, queuedSteps: 2, framesIn: 4, steps: 0 });
    expect(begun).toHaveLength(1);

    expect(await runAll()).toEqual([0, 1, 2, 3]);
    await Promise.all(answers);
    expect(counters()).toMatchObject({
      ...{ openSessions: 0, maxOpenSessions: 4, queuedSteps: 0, maxQueuedFrames: 2, steps: 4 },
      ...{ framesIn: 4, framesOut: 4, bytesIn: 32, bytesOut: 16, computeMs: 8 },
      ...{ sessionSwitches: 3, sessionsClosed: 4, maxSessions: 64, kvCapacityTokens: 0 },
    });
    expect(counters().weightBytes).toBeUndefined();
    expect(host.takeSpans?.()).toMatchObject([{ traceparent, steps: 1, computeMs: 2 }]);
    expect(host.takeSpans?.()).toEqual([]);
  });

  it('never computes a packet whose caller left while it waited, wherever it waited', async () => {
    const { ask, begun, counters, runAll } = start();
    const callers = Array.from({ length: 8 }, () => new AbortController());
    const answers = callers.map((caller, index) => ask(index, { caller }));
    await settle();
    // The second lies with the thread already, the others wait here.
    for (const index of [1, 2, 5]) callers[index]?.abort(gone());
    expect(counters().queuedSteps).toBe(4);

    expect(await runAll()).toEqual([0, 3, 4, 6, 7]);
    const said = await Promise.all(answers);
    expect([1, 2, 5].map((index) => said[index])).toEqual(['CANCELLED', 'CANCELLED', 'CANCELLED']);
    expect(counters()).toMatchObject({ steps: 5, framesOut: 5, openSessions: 0, queuedSteps: 0 });
    expect(begun).toHaveLength(5);
  });

  it('lets a packet that computes finish, and drops its answer when its caller has left', async () => {
    const { ask, counters, runAll } = start();
    const caller = new AbortController();
    const left = ask(0, { caller });
    const other = ask(1);
    await settle();
    caller.abort(gone());
    await settle();
    expect(counters().openSessions).toBe(2);

    expect(await runAll()).toEqual([0, 1]);
    expect(await left).toBe('CANCELLED');
    expect(await other).toMatchObject({ y: { shape: [1] } });
    expect(counters()).toMatchObject({ steps: 2, framesOut: 1, openSessions: 0 });
  });

  it('never computes a packet whose deadline passed while it waited', async () => {
    const { ask, counters, runAll } = start();
    const late = Date.now() - 1;
    const answers = [ask(0), ask(1), ask(2, { deadlineMs: late }), ask(3)];

    expect(await runAll()).toEqual([0, 1, 3]);
    expect((await Promise.all(answers))[2]).toBe('DEADLINE_EXCEEDED');
    expect(counters().steps).toBe(3);
  });

  it('lets sessions take turns, and keeps the order within each', async () => {
    const { ask, runAll } = start();
    const answers = [0, 1, 2, 3, 4, 5].map((first) => ask(first, { sessionId: 'many' }));
    answers.push(ask(10, { sessionId: 'few' }), ask(11, { sessionId: 'few' }), ask(20));

    expect(await runAll()).toEqual([0, 1, 2, 10, 20, 3, 11, 4, 5]);
    await Promise.all(answers);
  });

  it('checks a packet while another computes, and says all that is wrong at once', async () => {
    const { ask, begun, counters } = start();
    const computing = ask(0);
    await settle();

    expect(await ask(1, { shape: [1, 3] })).toBe('TENSOR_MISMATCH');
    expect(begun).toHaveLength(1);
    expect(counters()).toMatchObject({ steps: 0, openSessions: 1 });
    begun[0]?.end();
    expect(await computing).toMatchObject({ y: { shape: [1] } });
    expect(counters().steps).toBe(1);
  });

  it('is busy when all places are taken, by number or by bytes', async () => {
    const { ask, counters, runAll } = start();
    const answers = Array.from({ length: 65 }, (_, index) => ask(index));
    expect(await answers[64]).toBe('BUSY');
    await runAll();
    expect(counters()).toMatchObject({ steps: 64, maxOpenSessions: 64 });

    const large = { receivedBytes: 100 * 2 ** 20 };
    const two = [ask(70, large), ask(71, large)];
    expect(await two[1]).toBe('BUSY');
    await runAll();
    expect(counters().steps).toBe(65);
  });

  it('drains: takes no more, and is done when the last answer is out', async () => {
    const { host, ask, runAll } = start();
    const answers = [ask(0), ask(1), ask(2)];
    await settle();
    let drained = false;
    const draining = host.drain().then(() => {
      drained = true;
    });
    expect(await ask(3)).toBe('SHARD_UNAVAILABLE');
    expect(drained).toBe(false);
    expect(await runAll()).toEqual([0, 1, 2]);
    await draining;
    expect(await Promise.all(answers)).toHaveLength(3);
  });

  it('closes: fails those that wait at once', async () => {
    const { host, ask, counters } = start();
    const answers = [ask(0), ask(1), ask(2), ask(3)];
    await settle();
    await host.close();
    expect(await Promise.all(answers.slice(2))).toEqual([
      ...['SHARD_UNAVAILABLE', 'SHARD_UNAVAILABLE'],
    ]);
    expect(counters().queuedSteps).toBe(0);
  });
});
