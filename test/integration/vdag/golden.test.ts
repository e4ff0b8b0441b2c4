import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../../../runtime/gateway/index.ts';
import {
  createGenerationDriver,
  createGraphRunner,
  type GenerationDriver,
} from '../../../runtime/vdag/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { bare, differences, golden } from '../../support/golden.ts';
import { type GoldenRow, tinyAssistantFolder } from '../../support/tiny-assistant.ts';
import { fakeControlPlane } from '../../unit/gateway/fakes.ts';
import { type ShardProcesses, startShards } from './shard-processes.ts';

const count = 2;
let shards: ShardProcesses;
let driver: GenerationDriver;
let gateway: Gateway;
let client: OpenAI;
const model = 'tiny-assistant';

beforeAll(async () => {
  shards = await startShards(tinyAssistantFolder, count);
  const resolveVdag = async (_tenant: string, name: string) => {
    if (name === model) return shards.plan.vdag;
    throw new AiosError('NOT_FOUND', `vDAG '${name}' does not exist.`);
  };
  const { directory, artifacts } = shards;
  driver = createGenerationDriver({
    ...{ resolveVdag, directory, artifacts },
    recoveryLimitMs: 1000,
  });
  gateway = await startGateway({
    controlPlane: fakeControlPlane({ resolveVdag }),
    driver,
    runner: createGraphRunner({ resolveVdag, directory, driver }),
  });
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterAll(async () => {
  await gateway?.close();
  await driver?.close();
  await shards?.close();
});

/** Runs the work over the rows, `width` at a time. */
async function concurrently(
  rows: readonly GoldenRow[],
  width: number,
  work: (row: GoldenRow) => Promise<string[]>,
): Promise<string[]> {
  const waiting = [...rows];
  const faults: string[] = [];
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (let row = waiting.shift(); row; row = waiting.shift()) {
        const found = await work(row);
        faults.push(...found.map((fault) => `${row?.messages.at(-1)?.content}: ${fault}`));
      }
    }),
  );
  return faults;
}

const idsOf = (choice: unknown) =>
  (choice as { token_ids?: number[] } | undefined)?.token_ids ?? [];

interface Answer {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly finish: string | undefined;
  readonly promptTokens: number | undefined;
}

function faultsOf({ text, tokens, finish, promptTokens }: Answer, row: GoldenRow): string[] {
  const leading = bare(row.tokens).slice(0, row.exact);
  const isExact = row.exact === row.tokens.length;
  const checks: (readonly [name: string, got: unknown, expected: unknown])[] = [
    ['tokens', tokens.slice(0, leading.length), leading],
    ['prompt tokens', promptTokens, row.promptTokens.length],
    ...(isExact ? ([['finish', finish, row.finish]] as const) : []),
    ...(isExact && !row.text.includes('\uFFFD') ? ([['text', text, row.text]] as const) : []),
  ];
  return checks
    .filter(([, got, expected]) => JSON.stringify(got) !== JSON.stringify(expected))
    .map(
      ([name, got, expected]) => `${name}: ${JSON.stringify(got)} ≠ ${JSON.stringify(expected)}`,
    );
}

const counters = (index: number) => shards.status(index)?.counters;
/** Reports come about once a second. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 50));
}
const slotsAreFree = () =>
  Array.from({ length: count }, (_, index) => counters(index)?.openSessions).every((n) => n === 0);

const long = {
  model,
  messages: [{ role: 'user' as const, content: 'What is a policy?' }],
  temperature: 0,
  ...{ ignore_eos: true },
};

describe('a model in two shard processes', () => {
  test('says what the whole model says, one at a time', async () => {
    expect(
      await concurrently(golden.rows, 1, (row) => differences(gateway.url, model, row)),
    ).toEqual([]);
  });

  test('says the same to eight at once, and interleaves their steps', async () => {
    expect(
      await concurrently(golden.rows, 8, (row) => differences(gateway.url, model, row)),
    ).toEqual([]);

    await until(() => (counters(0)?.maxOpenSessions ?? 0) > 1);
    for (const index of [0, 1]) {
      expect(counters(index)?.maxOpenSessions).toBe(8);
      expect(counters(index)?.sessionSwitches).toBeGreaterThan(0);
    }
    await until(slotsAreFree);
  });

  test('streams, and completes raw prompts, as it answers whole', async () => {
    const faults = await concurrently(golden.rows, 8, async (row) => {
      const common = {
        model,
        temperature: 0,
        ...(row.maxTokens ? { max_tokens: row.maxTokens } : {}),
        ...{ ignore_eos: row.ignoreEos, return_token_ids: true },
      };
      const messages = row.messages as { role: 'user'; content: string }[];
      const include = { stream: true, stream_options: { include_usage: true } } as const;
      const stream = await client.chat.completions.create({ ...common, messages, ...include });
      const chunks = [];
      for await (const chunk of stream) chunks.push(chunk);
      const streamed = {
        text: chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join(''),
        tokens: chunks.flatMap(({ choices }) => idsOf(choices[0])),
        finish: chunks.flatMap(({ choices }) => choices[0]?.finish_reason ?? [])[0],
        promptTokens: chunks.at(-1)?.usage?.prompt_tokens,
      };
      const raw = await client.completions.create({ ...common, prompt: row.prompt });
      const completed = {
        text: raw.choices[0]?.text ?? '',
        tokens: idsOf(raw.choices[0]),
        finish: raw.choices[0]?.finish_reason,
        promptTokens: raw.usage?.prompt_tokens,
      };
      return [streamed, completed].flatMap((answer) => faultsOf(answer, row));
    });

    expect(faults).toEqual([]);
  });

  test('gives the same text for the same seed, and others for others', async () => {
    const ask = async (seed: number) => {
      const answer = await client.completions.create({
        model,
        prompt: '<|user|>',
        temperature: 2,
        seed,
        max_tokens: 30,
        ...{ ignore_eos: true },
      });
      return answer.choices[0]?.text;
    };
    const [first, again, other] = [await ask(1), await ask(1), await ask(2)];

    expect(again).toBe(first);
    expect(other).not.toBe(first);
  });

  test('stops before a stop string and counts no token after it', async () => {
    const answer = await client.chat.completions.create({
      model,
      messages: [{ role: 'user', content: 'Count from 1 to 9.' }],
      temperature: 0,
      stop: [', 5'],
      ...{ return_token_ids: true },
    });

    const choice = answer.choices[0] as unknown as { token_ids: number[] };
    expect(answer.choices[0]).toMatchObject({
      message: { content: '1, 2, 3, 4' },
      finish_reason: 'stop',
    });
    expect(answer.usage?.completion_tokens).toBe(choice.token_ids.length);
  });

  test('refuses a prompt over the context with both numbers', async () => {
    const prompt = Array.from({ length: 600 }, () => 54);
    const asked = client.completions.create({ model, prompt });

    await expect(asked).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded' });
    await expect(asked).rejects.toThrow(/512.*600/);
  });

  test('frees the slots of a client that goes away in every shard', async () => {
    await until(slotsAreFree);
    const before = counters(1)?.sessionsOpened ?? 0;
    const stream = await client.chat.completions.create({ ...long, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;

    await until(() => (counters(1)?.sessionsOpened ?? 0) > before && slotsAreFree());
  });

  test('answers with a typed error when a shard is killed in the middle and none comes in its place', async () => {
    const stream = await client.chat.completions.create({ ...long, stream: true });
    const read = async () => {
      let seen = 0;
      for await (const _chunk of stream) if (++seen === 5) await shards.kill(1);
    };

    await expect(read()).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
    await expect(client.chat.completions.create(long)).rejects.toMatchObject({
      code: 'SHARD_UNAVAILABLE',
      status: 503,
    });
    expect(shards.directory.reported).toContain(`${shards.plan.blocks[1]?.id}-a`);
    await until(() => counters(0)?.openSessions === 0);
  });
});
