import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGenerationDriver, type GenerationDriver } from '../../../runtime/vdag/index.ts';
import type { VdagSpec } from '../../../sdk/spec/vdag.ts';
import type { ActivationDtype } from '../../../sdk/spec/wire-dtype.ts';
import { golden } from '../../support/golden.ts';
import { tinyAssistantFolder } from '../../support/tiny-assistant.ts';
import { evaluateWire } from '../../support/wire-evaluation.ts';
import { type ShardProcesses, startShards } from './shard-processes.ts';

describe('the model behind links of another dtype', () => {
  const conversations = golden.rows
    .slice(0, 4)
    .map(({ promptTokens }) => ({ promptTokens, maxTokens: 24 }));

  test.each([
    [2, [0, 4]],
    [3, [0, 3, 6]],
  ])('in %i shards: mostly chooses the same', async (_, firstLayers) => {
    const dtypes = ['fp32', 'fp16', 'int8'] as const;
    const found = await evaluateWire(tinyAssistantFolder, firstLayers, dtypes, conversations);
    const [exact, half, scaled] = dtypes.map((dtype) => found.get(dtype));
    expect(exact).toMatchObject({ agreement: 1, largestGap: 0 });
    expect(half?.agreement).toBeGreaterThanOrEqual(0.99);
    expect(half?.meanGap).toBeLessThan(1e-3);
    expect(scaled?.agreement).toBeGreaterThanOrEqual(0.95);
    expect(scaled?.meanGap).toBeLessThan(0.05);
    const whole = exact?.bytesPerToken ?? 0;
    expect((half?.bytesPerToken ?? whole) / whole).toBeLessThan(0.56);
    expect((scaled?.bytesPerToken ?? whole) / whole).toBeLessThan(0.33);
  });
});

describe('shards that send to each other', () => {
  const answerTokens = 60;
  let shards: ShardProcesses;
  let driver: GenerationDriver;

  /** A model is named by its dtypes. */
  const vdagOf = (name: string): VdagSpec => {
    const { vdag } = shards.plan;
    const activationDtype = name.split(',') as ActivationDtype[];
    return vdag.generation
      ? { ...vdag, generation: { ...vdag.generation, activationDtype } }
      : vdag;
  };

  beforeAll(async () => {
    shards = await startShards(tinyAssistantFolder, 3);
    const { directory, artifacts } = shards;
    driver = createGenerationDriver({
      ...{ directory, artifacts },
      resolveVdag: async (_tenant, name) => vdagOf(name),
    });
  });
  afterAll(async () => {
    await driver?.close();
    await shards?.close();
  });

  async function ask(name: string, onToken: (count: number) => void = () => {}) {
    const events = driver.generate({
      ...{ tenant: 'default', vdagUri: name },
      prompt: { type: 'messages', messages: golden.rows[0]?.messages ?? [] },
      sampling: { temperature: 1, topK: 0, topP: 1, repetitionPenalty: 1, seed: 7 },
      maxTokens: answerTokens,
      ...{ stop: [], ignoreEndToken: true, deadlineMs: Date.now() + 120_000 },
      signal: new AbortController().signal,
    });
    const tokens: number[] = [];
    let recoveries = 0;
    for await (const event of events) {
      if (event.type === 'token') onToken(tokens.push(event.token));
      if (event.type === 'end') recoveries = event.recoveries.length;
    }
    return { tokens, recoveries };
  }

  test('a shard that is lost is replaced with no other text, whatever the dtypes', async () => {
    for (const [index, name] of ['fp16,int8', 'int8,int8'].entries()) {
      const whole = await ask(name);
      const faulty = await ask(name, (count) => {
        if (count !== 20) return;
        void shards.kill(index).then(() => shards.restart(index));
      });
      expect(faulty.recoveries).toBe(1);
      expect(faulty.tokens).toEqual(whole.tokens);
    }
  }, 120_000);

  test('what one dtype computed of a prompt is not the beginning of another’s', async () => {
    const alone = await ask('int8,fp32');
    // The same prompt went the same way before, in other numbers.
    await ask('fp32,fp32');
    const again = await ask('int8,fp32');
    expect(again.tokens).toEqual(alone.tokens);
    expect(alone.tokens).toHaveLength(answerTokens);
  });
});
