import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { InstanceDirectory } from '../../../runtime/control-plane.ts';
import { connectInstance, type InstanceConnection } from '../../../runtime/dataplane/index.ts';
import { createOnnxShard, type OnnxShard } from '../../../runtime/model/onnx-cut/onnx-shard.ts';
import { createGenerationDriver, createGraphRunner } from '../../../runtime/vdag/index.ts';
import type { ShardCounters } from '../../../sdk/client/api.ts';
import { AiosError } from '../../../sdk/errors.ts';
import type { SplitPlan } from '../../../sdk/spec/plan.ts';
import type { Tensor } from '../../../sdk/tensor.ts';
import { tensorsFromJson, tensorToJson } from '../../../sdk/tensor-json.ts';
import { writeEncoder } from '../../support/onnx-models.ts';
import { integers, splitOnnx } from '../../support/onnx-split.ts';
import { eventually } from './driver.ts';
import { bootOf, type RunningInstance, startInstance } from './instance-process.ts';

let folder = '';
let plan: SplitPlan;
let whole: OnnxShard;
let shards: RunningInstance[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-graph-'));
  const sizes = { layers: 6, hidden: 256, heads: 4, vocabulary: 1000 };
  const { path } = writeEncoder(join(folder, 'encoder'), sizes);
  const out = join(folder, 'plan');
  plan = await splitOnnx(path, out, { shards: 3 });
  whole = await createOnnxShard(path);
  shards = await Promise.all(
    plan.components.map(({ graph }, index) => {
      if (!graph) throw new Error(`component ${index} has no graph`);
      const name = plan.shards[index]?.folder ?? '';
      return startInstance(bootOf(`graph-${index}`, { type: 'graph', graph }), join(out, name));
    }),
  );
  await Promise.all(shards.map((one) => one.ready()));
}, 120_000);

afterAll(async () => {
  for (const shard of shards) await shard[Symbol.asyncDispose]();
  await whole?.release();
  await rm(folder, { recursive: true, force: true });
});

const sentences = (seed: number, count: number, tokens: number) => {
  const ids = Array.from({ length: count * tokens }, (_, at) => (at * 37 + seed * 101) % 1000);
  return {
    input_ids: integers([count, tokens], ids),
    attention_mask: integers(
      [count, tokens],
      ids.map(() => 1),
    ),
  };
};
const asTensors = (inputs: ReturnType<typeof sentences>) => inputs as Record<string, Tensor>;
const asJson = (inputs: ReturnType<typeof sentences>) => ({
  tensors: Object.fromEntries(
    Object.entries(asTensors(inputs)).map(([name, one]) => [name, tensorToJson(one)]),
  ),
});
const countersOf = (index: number) => {
  const counters = shards[index]?.status()?.counters;
  if (!counters) throw new Error(`shard ${index} has not counted yet`);
  return counters;
};

/** Who attaches is told at once. */
const countersNow = (index: number): Promise<ShardCounters> =>
  new Promise((resolve, reject) => {
    const lease = shards[index]?.connection.attach({
      onReport({ counters }) {
        lease?.close();
        if (counters) resolve(counters);
      },
      onDown: reject,
    });
  });

/** Watches which packets are at which shard. */
function watch() {
  const under = new Map<string, number>();
  const seen = { mostBusy: 0, overtaken: 0 };
  const connect = (to: Parameters<typeof connectInstance>[0]): InstanceConnection => {
    const connection = connectInstance(to);
    const isFirst = to.address === shards[0]?.hop.address;
    return {
      link: () => connection.link(),
      attach: (listeners) => connection.attach(listeners),
      close: () => connection.close(),
      async *infer(packet, options) {
        under.set(to.address, (under.get(to.address) ?? 0) + 1);
        const busy = [...under].filter(([, count]) => count > 0);
        seen.mostBusy = Math.max(seen.mostBusy, busy.length);
        try {
          yield* connection.infer(packet, options);
        } finally {
          under.set(to.address, (under.get(to.address) ?? 1) - 1);
          // A packet that came before this one is still at a later shard.
          const isBehind = busy.some(([address]) => address !== to.address);
          if (isFirst && isBehind) seen.overtaken += 1;
        }
      },
    };
  };
  return { connect, seen };
}

function startRunner(connect: ReturnType<typeof watch>['connect']) {
  const directory: InstanceDirectory = {
    async pick({ blockId }) {
      const hop = shards[plan.blocks.findIndex(({ id }) => id === blockId)]?.hop;
      if (!hop) throw new AiosError('NOT_FOUND', `block '${blockId}' does not exist.`);
      return { ...hop, blockId, clusterId: 'c', nodeId: 'n', release() {} };
    },
    report() {},
  };
  const resolveVdag = async () => plan.vdag;
  const artifacts = {
    path: async (): Promise<string> => {
      throw new AiosError('NOT_FOUND', 'graphs have none.');
    },
  };
  const driver = createGenerationDriver({ resolveVdag, directory, artifacts });
  return createGraphRunner({ resolveVdag, directory, driver, connect });
}

it('keeps three shards busy with packets in flight, counts them, and each answer has the bits of the whole', async () => {
  const { connect, seen } = watch();
  const runner = startRunner(connect);
  const packets = 40;
  const before = [0, 1, 2].map((index) => countersOf(index).steps);
  let next = 0;
  const ask = async () => {
    for (let seed = next++; seed < packets; seed = next++) {
      const inputs = sentences(seed, 1, 24);
      const events = runner.invoke({
        tenant: 'default',
        target: { kind: 'vdag', id: plan.vdag.uri },
        data: asJson(inputs),
        deadlineMs: Date.now() + 60_000,
        signal: new AbortController().signal,
      });
      let answer: unknown;
      for await (const { data } of events) answer = data;
      const served = tensorsFromJson(answer).last_hidden_state?.data;
      const expected = (await whole.run(inputs)).last_hidden_state?.data;
      expect(Buffer.compare(served ?? Buffer.alloc(0), expected ?? Buffer.alloc(1))).toBe(0);
    }
  };
  await Promise.all(Array.from({ length: 8 }, ask));
  runner.close();

  expect(seen.mostBusy).toBe(3);
  expect(seen.overtaken).toBeGreaterThan(packets / 4);
  for (const index of [0, 1, 2]) {
    await eventually(() => countersOf(index).steps === (before[index] ?? 0) + packets);
    await eventually(() => countersOf(index).openSessions === 0);
    const { bytesIn, bytesOut, maxSessions, framesIn, framesOut, ...more } = countersOf(index);
    expect(more).toMatchObject({ queuedSteps: 0, decodeBatches: 0, kvCapacityTokens: 0 });
    expect([framesOut, maxSessions]).toEqual([framesIn, 64]);
    expect(more.maxOpenSessions).toBeGreaterThan(1);
    expect(more.computeMs).toBeGreaterThan(0);
    expect(more.waitMs).toBeGreaterThan(0);
    // The hidden state of 24 tokens, and masks; the first is given numbers alone.
    expect(bytesOut).toBeGreaterThanOrEqual(packets * 24 * 256 * 4);
    if (index > 0) expect(bytesIn).toBe(countersOf(index - 1).bytesOut + 2 * framesIn);
  }
});

it('never computes packets whose callers left or whose time was up while they waited', async () => {
  const connection = shards[0]?.connection;
  const before = countersOf(0);
  let sequence = 0;
  const ask = async (
    inputs: ReturnType<typeof sentences>,
    { signal = new AbortController().signal, deadlineMs = Date.now() + 60_000 } = {},
  ) => {
    const packet = {
      ...{ sessionId: 'left', sequence: sequence++, data: {}, createdAtMs: 0 },
      tensors: asTensors(inputs),
    };
    try {
      for await (const _ of connection?.infer(packet, { deadlineMs, signal }) ?? []) return 'ok';
      return 'nothing';
    } catch (error) {
      return AiosError.from(error).code;
    }
  };
  // Computes for long enough that all others come meanwhile.
  const large = ask(sentences(1, 400, 32));
  await eventually(async () => (await countersNow(0)).openSessions === 1);
  const leaving = new AbortController();
  const others = Array.from({ length: 10 }, (_, index) =>
    ask(
      sentences(index, 1, 8),
      index % 2 === 0 ? { signal: leaving.signal } : { deadlineMs: Date.now() + 600 },
    ),
  );
  const wrong = ask({ ...sentences(0, 1, 8), attention_mask: integers([8], Array(8).fill(1)) });
  const tooLate = large.then(() => 'the large one was answered before the wrong one was read');
  expect(await Promise.race([wrong, tooLate])).toBe('TENSOR_MISMATCH');
  await eventually(async () => (await countersNow(0)).framesIn === before.framesIn + 12);
  leaving.abort(new AiosError('CANCELLED', 'left.'));

  expect(await Promise.all(others)).toEqual(
    others.map((_, index) => (index % 2 === 0 ? 'CANCELLED' : 'DEADLINE_EXCEEDED')),
  );
  expect(await large).toBe('ok');
  expect(await ask(sentences(2, 1, 8))).toBe('ok');
  await eventually(() => countersOf(0).framesIn === before.framesIn + 13);
  await eventually(() => countersOf(0).openSessions === 0);
  expect(countersOf(0).steps).toBe(before.steps + 2);
  expect(countersOf(0).framesOut).toBe(before.framesOut + 2);
});
