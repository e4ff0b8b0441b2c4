import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Frame, OpenPayload, TokenPayload } from '../../../runtime/dataplane/index.ts';
import { createStageExecutor } from '../../../runtime/model/stage-executor.ts';
import { createRandom } from '../../support/checkpoint.ts';
import { answer, type TestStages, writeTestStages } from '../../support/stages.ts';
import { readGolden, tinyAssistantFolder } from '../../support/tiny-assistant.ts';
import { serveChain } from './chain.ts';
import { createDriver, type Driver, eventually } from './driver.ts';

const sessions = 88;
/** At once: the rest come as others leave. */
const width = 64;
/** Slots of sessions that hang up are free a moment later. */
const maxSessions = width + 16;
const chunkRows = 48;
const cuts = { 1: [0], 2: [0, 4], 3: [0, 3, 6] } as const;
type ShardCount = keyof typeof cuts;

/** One session, drawn by chance: what it asks, when it comes, and whether it stays to the end. */
interface Plan {
  readonly id: string;
  readonly tenant: string;
  readonly promptTokens: readonly number[];
  readonly maxTokens: number;
  readonly sampling: OpenPayload['sampling'];
  /** Tokens after which it hangs up; undefined: it takes the whole answer. */
  readonly cancelAfter: number | undefined;
}

const golden = readGolden();
const random = createRandom(20_261_121);
const below = (count: number) => Math.floor(random() * count);
const plans: readonly Plan[] = Array.from({ length: sessions }, (_, index) => {
  const { promptTokens } = golden.rows[below(golden.rows.length)] as (typeof golden.rows)[number];
  const repeats = below(4) === 0 ? 1 + below(6) : 1;
  return {
    id: `s${index}`,
    tenant: `tenant-${below(3)}`,
    promptTokens: Array.from({ length: repeats }, () => promptTokens)
      .flat()
      .slice(0, 1 + below(10) * 30),
    maxTokens: 10 + below(50),
    sampling: {
      temperature: index % 2,
      ...{ topK: below(3) * 20, topP: below(2) ? 1 : 0.9, logprobs: 2 },
      ...{ repetitionPenalty: below(3) === 0 ? 1.1 : 1, seed: index },
    },
    cancelAfter: below(5) === 0 ? 1 + below(8) : undefined,
  };
});

interface Text {
  readonly tokens: readonly number[];
  readonly top: readonly TokenPayload['top'][];
}

const written = new Map<ShardCount, TestStages>();
let alone: ReadonlyMap<string, Text>;

async function startReal(count: ShardCount) {
  const stages = written.get(count)?.stages ?? [];
  const executors = await Promise.all(
    stages.map((stage) => createStageExecutor({ ...stage, threads: 1 })),
  );
  return serveChain(
    stages.map(({ stage }) => stage),
    executors,
  );
}

beforeAll(async () => {
  for (const count of [1, 2, 3] as const) {
    written.set(count, await writeTestStages(tinyAssistantFolder, cuts[count], maxSessions));
  }
  const [whole] = written.get(1)?.stages ?? [];
  if (!whole) throw new Error('no stage');
  const executor = await createStageExecutor({ ...whole, threads: 1 });
  const texts = new Map<string, Text>();
  for (const { id, promptTokens, maxTokens, sampling } of plans) {
    const request = { session: id, promptTokens, maxTokens, sampling, chunkRows };
    texts.set(id, await answer([executor], request));
  }
  await executor.close();
  alone = texts;
});
afterAll(async () => {
  for (const stages of written.values()) await stages[Symbol.asyncDispose]();
});

/** Lives one session over the frames, as a driver does. */
async function live(driver: Driver, plan: Plan): Promise<Text> {
  const { promptTokens, maxTokens, cancelAfter = Number.POSITIVE_INFINITY } = plan;
  const session = driver.session(plan.id);
  session.open({ ...plan, deadlineMs: Date.now() + 120_000 });
  for (let at = 0; at < promptTokens.length; at += chunkRows) {
    session.step(promptTokens.slice(at, at + chunkRows), at + chunkRows >= promptTokens.length);
  }
  const tokens: number[] = [];
  const top: TokenPayload['top'][] = [];
  let frame: Frame = await session.next();
  for (;;) {
    frame = await session.next();
    tokens.push(frame.token);
    top.push((JSON.parse(Buffer.from(frame.payload).toString()) as TokenPayload).top);
    if (tokens.length >= Math.min(maxTokens, cancelAfter)) break;
    session.step([frame.token]);
  }
  // Who hangs up does so while a step of its own is under way.
  if (tokens.length < maxTokens) session.step([frame.token]);
  session.close();
  return { tokens, top };
}

describe('sessions that come and go while others are answered', () => {
  it.each([1, 2, 3] as const)(
    'are each answered as alone, by %i shards',
    async (count) => {
      await using chain = await startReal(count);
      const driver = await createDriver(chain.hops);
      const waiting = [...plans];
      const worker = async () => {
        for (let plan = waiting.shift(); plan; plan = waiting.shift()) {
          const { tokens, top } = await live(driver, plan);
          const expected = alone.get(plan.id);
          expect({ id: plan.id, tokens }).toEqual({
            id: plan.id,
            tokens: expected?.tokens.slice(0, tokens.length),
          });
          expect(top).toEqual(expected?.top.slice(0, tokens.length));
        }
      };
      await Promise.all(Array.from({ length: width }, worker));
      await eventually(() => chain.openSessions() === 0);

      // The first makes the parts that keep the others busy: never more than its share.
      expect(chain.counters(0).maxBatchSteps).toBeLessThanOrEqual(Math.ceil(maxSessions / count));
      for (let index = 0; index < count; index += 1) {
        const counters = chain.counters(index);
        expect(counters.maxOpenSessions).toBeGreaterThanOrEqual(width);
        expect(counters.decodeSteps).toBeGreaterThan(1000);
        expect(counters.decodeBatches).toBeLessThan(counters.decodeSteps);
        expect(counters.maxBatchSteps).toBeGreaterThan(8);
        expect(counters.prefillChunks).toBeGreaterThan(sessions);
        expect(counters.kvMoves).toBeGreaterThan(10);
        expect(counters.payloadCopies).toBe(0);
        expect(counters.outputCopies > 0).toBe(index < count - 1);
      }
      driver.close();
    },
    120_000,
  );
});

describe('prompts that begin alike', () => {
  const long = Array.from({ length: 260 }, (_, at) => 5 + ((at * 37) % 700));
  const asked = (id: string, promptTokens: readonly number[], seed: number): Plan => ({
    ...{ id, tenant: 'a', promptTokens, maxTokens: 12, cancelAfter: undefined },
    sampling: { temperature: 1, topK: 0, topP: 1, repetitionPenalty: 1.1, logprobs: 2, seed },
  });
  const chat = [
    asked('first', long.slice(0, 200), 1),
    asked('same', long.slice(0, 200), 2),
    asked('longer', long, 3),
    asked('parts from it', [...long.slice(0, 100), 9, 8, 7, ...long.slice(0, 90)], 4),
    asked('of another tenant', long, 5),
  ].map((plan, index) => (index === 4 ? { ...plan, tenant: 'b' } : plan));
  const shared = [0, 192, 192, 96, 0];
  let whole: Text[];

  beforeAll(async () => {
    const [stage] = written.get(1)?.stages ?? [];
    if (!stage) throw new Error('no stage');
    whole = [];
    for (const { id, promptTokens, maxTokens, sampling } of chat) {
      // An executor each: nothing can be shared.
      const executor = await createStageExecutor({ ...stage, threads: 1 });
      const request = { session: id, promptTokens, maxTokens, sampling, chunkRows };
      whole.push(await answer([executor], request));
      await executor.close();
    }
  });

  it.each([1, 2, 3] as const)(
    'are computed once, and answered the same, by %i shards',
    async (count) => {
      await using chain = await startReal(count);
      const driver = await createDriver(chain.hops);
      for (const [at, plan] of chat.entries()) {
        const before = chain.counters(count - 1).sharedTokens;
        expect(await live(driver, plan)).toEqual(whole[at]);
        expect(chain.counters(count - 1).sharedTokens - before).toBe(shared[at]);
        await eventually(() => chain.openSessions() === 0);
      }
      // Also with one that is still answered.
      const open = driver.session('open');
      open.open({ ...asked('open', long, 6) });
      for (let at = 0; at < long.length; at += chunkRows) {
        open.step(long.slice(at, at + chunkRows), at + chunkRows >= long.length);
      }
      await open.next();
      await open.next();
      expect(await live(driver, asked('again', long, 3))).toEqual(whole[2]);
      for (let index = 0; index < count; index += 1) {
        expect(chain.counters(index).sharedTokens).toBe(192 + 192 + 96 + 240 + 240);
      }
      driver.close();
    },
  );

  it('are computed whole by the next session, where a shard has lost what the others hold', async () => {
    await using chain = await startReal(2);
    const driver = await createDriver(chain.hops);
    const [first, same] = chat as [Plan, Plan];
    await live(driver, first);
    await eventually(() => chain.openSessions() === 0);
    // The second shard needs every slot, the first does not.
    const [, second] = chain.executors;
    for (let slot = 0; slot < maxSessions; slot += 1) {
      second?.open(`filler-${slot}`, { promptTokens: [], sampling: first.sampling });
    }
    for (let slot = 0; slot < maxSessions; slot += 1) second?.closeSession(`filler-${slot}`);

    await expect(live(driver, same)).rejects.toMatchObject({ code: 'SESSION_UNKNOWN' });
    expect(await live(driver, { ...same, id: 'once more' })).toEqual(whole[1]);
    expect(chain.counters(1).sharedTokens).toBe(0);
    driver.close();
  });
});
