import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { golden } from '../support/golden.ts';
import { eventually, System, tinyAssistant } from '../support/system.ts';

const shards = 2;
const copies = 2;
const sessions = 8;
const answerTokens = 200;
let system: System;
let model: string;
let alone: readonly string[];

beforeAll(async () => {
  system = await System.start();
  await system.cluster('west', 4, 600 * 2 ** 20);
  const out = mkdtempSync(join(tmpdir(), 'aios-plan-'));
  const plan = join(out, 'plan');
  await system.json('split', tinyAssistant, '--shards', String(shards), '--out', plan);
  const created = await system.json<{ model: string }>(
    ...['create-plan', plan, '--instances', String(copies), '--wait'],
  );
  rmSync(out, { recursive: true, force: true });
  model = created.model;
  alone = await askAll();
}, 300_000);

afterAll(() => system?.stop());

/** One streamed answer, greedy or at temperature 1. @returns its token ids, as sent */
async function ask(index: number, onToken: () => void): Promise<string> {
  const response = await fetch(`${system.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      ...{ model, stream: true, return_token_ids: true, ignore_eos: true },
      messages: golden.rows[index]?.messages,
      ...{ max_tokens: answerTokens, temperature: index % 2, seed: index },
    }),
  });
  let all = '';
  for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    all += text;
    onToken();
  }
  expect(all).not.toContain('"error"');
  const ids = [...all.matchAll(/"token_ids":\[([\d,]*)\]/g)].map(([, list]) => list);
  return ids.filter((list) => list !== '').join();
}

/** Eight at once; `run` is called when `pieces` have come of all of them together. */
async function askAll(pieces = 0, run: () => unknown = () => {}): Promise<readonly string[]> {
  let seen = 0;
  let doing: unknown;
  const onToken = () => {
    seen += 1;
    if (seen === pieces) doing = run();
  };
  const answers = await Promise.all(
    Array.from({ length: sessions }, (_, index) => ask(index, onToken)),
  );
  await doing;
  return answers;
}

const pauses = () => system.log.split('\n').filter((line) => /paused an answer \d+ ms/.test(line));
const allReady = () =>
  eventually('every shard has its instances', async () => {
    const instances = await system.instances();
    const ready = instances.filter(({ state }) => state === 'ready');
    return instances.length === shards * copies && ready.length === instances.length && instances;
  });

describe('two instances of each shard', () => {
  it('share the sessions', async () => {
    expect(alone[0]?.split(',')).toHaveLength(answerTokens);
    expect(await askAll()).toEqual(alone);
    await eventually('every instance has had sessions', async () =>
      (await system.instances()).every(({ counters }) => (counters?.sessionsOpened ?? 0) > 1),
    );
    // A machine that is very busy may look like a stall; nothing else can have happened.
    expect(pauses().filter((line) => !line.includes('longer than usual'))).toEqual([]);
  });

  it('are moved off a node that is drained while they answer: nobody sees it', async () => {
    const [one] = await allReady();
    const before = (await system.instances()).filter(({ nodeId }) => nodeId === one?.nodeId);
    const paused = pauses().length;
    const drained: string[][] = [];
    const answers = await askAll(100, async () => {
      const { left } = await system.json<{ left: string[] }>(
        ...['cordon', 'west', one?.nodeId ?? '', '--drain', '--reason', 'new disk'],
      );
      drained.push(left);
    });

    expect(answers).toEqual(alone);
    expect(drained.flat().sort()).toEqual(before.map(({ id }) => id).sort());
    expect(pauses().length).toBeGreaterThan(paused);
    expect(pauses().at(-1)).toContain('is to end');
    expect((await allReady()).filter(({ nodeId }) => nodeId === one?.nodeId)).toEqual([]);
    expect((await system.aios('remove-node', 'west', one?.nodeId ?? '')).exitCode).toBe(0);
  });

  it('go on in the other when one stands still, which is replaced', async () => {
    const [frozen] = await allReady();
    const answers = await askAll(100, () => process.kill(frozen?.pid ?? 0, 'SIGSTOP'));

    expect(answers).toEqual(alone);
    expect(pauses().some((line) => line.includes('longer than usual'))).toBe(true);
    await eventually('it is replaced', async () =>
      (await system.instances()).every(({ id }) => id !== frozen?.id),
    );
    await allReady();
  });
});
