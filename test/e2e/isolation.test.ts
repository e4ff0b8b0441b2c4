import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bare, differences, golden } from '../support/golden.ts';
import { eventually, System, tinyAssistant } from '../support/system.ts';

let system: System;
let model: string;
const shards = 3;
const question = golden.rows[0]!;

beforeAll(async () => {
  system = await System.start();
  await system.cluster('west', 4, 600 * 2 ** 20);
  model = await system.model(tinyAssistant, shards);
});

afterAll(() => system?.stop());

const post = (body: object, signal?: AbortSignal) =>
  fetch(`${system.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, ...body }),
    signal: signal ?? null,
  });

/** Reads a stream until `count` tokens came, then returns the reader, still open. */
async function startStream(count: number, body: object, signal?: AbortSignal) {
  const response = await post({ stream: true, return_token_ids: true, ...body }, signal);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let seen = '';
  while (seen.split('"token_ids":[').length <= count) {
    const { value, done } = await reader.read();
    if (done) break;
    seen += value;
  }
  return reader;
}

const long = {
  messages: [{ role: 'user', content: 'What is a policy?' }],
  ignore_eos: true,
  temperature: 0,
};

const openSessions = async () =>
  (await system.instances()).map((instance) => instance.counters?.openSessions ?? Number.NaN);

describe('processes', () => {
  it('are one a shard, and each maps its own stage', async () => {
    const instances = await system.instances();
    const running = system.processes();

    expect(new Set(instances.map(({ pid }) => pid)).size).toBe(shards);
    expect(running.map(({ pid }) => pid).sort()).toEqual(instances.map(({ pid }) => pid!).sort());
    for (const { folder, maps } of running) {
      const graphs = readdirSync(folder).filter((name) => name.endsWith('.onnx'));
      const mapped = maps.match(/\/.*$/gm)?.filter((path) => path.startsWith(system.dataDirectory));

      expect(maps).toContain('onnxruntime');
      expect(graphs).toHaveLength(1);
      expect(mapped?.filter((path) => !path.startsWith(folder)) ?? []).toEqual([]);
    }
  });

  it('leave the control plane, which holds the driver, without weights or ONNX Runtime', async () => {
    expect(await differences(system.url, model, question)).toEqual([]);
    const maps = readFileSync(`/proc/${system.pid}/maps`, 'utf8');

    expect(maps).not.toContain('onnxruntime');
    expect(maps).not.toContain('safetensors');
  });

  it('report what they hold, resident above an empty instance and at peak', async () => {
    for (const instance of await system.instances()) {
      expect(instance.residentBytes).toBeGreaterThan(0);
      expect(instance.emptyResidentBytes).toBeGreaterThan(0);
      expect(instance.peakResidentBytes).toBeGreaterThanOrEqual(instance.residentBytes!);
    }
  });
});

describe('sessions', () => {
  it('are open eight at once in every shard, interleave, and answer as one at a time', async () => {
    const rows = golden.rows.filter((row) => row.tokens.length > 9).slice(0, 8);
    const alone: string[][] = [];
    for (const row of rows) alone.push(await differences(system.url, model, row));
    const before = (await system.instances()).map(({ counters }) => counters!.sessionSwitches);

    const together = await Promise.all(rows.map((row) => differences(system.url, model, row)));

    expect(together).toEqual(alone);
    expect(together.flat()).toEqual([]);
    // Counters come with an instance's next report.
    await eventually('every shard counted eight open sessions, one after the other', async () =>
      (await system.instances()).every(
        ({ counters }, i) =>
          counters!.maxOpenSessions >= 8 && counters!.sessionSwitches - before[i]! > 16,
      ),
    );
  });

  it('free their slot in every shard when the client goes away', async () => {
    const leave = new AbortController();
    const readers = await Promise.all([1, 2, 3].map(() => startStream(3, long, leave.signal)));

    leave.abort();
    await Promise.allSettled(readers.map((reader) => reader.cancel()));

    await eventually('no shard holds a session', async () =>
      (await openSessions()).every((n) => n === 0),
    );
    expect(await differences(system.url, model, question)).toEqual([]);
  });
});

describe('kill -9 of a shard during an answer', () => {
  it.each([0, 1, 2])(
    'shard %i: the reader gets the text it would have had, and the block is healed',
    async (index) => {
      const instances = await system.instances();
      const victim = instances.find(({ blockId }) => blockId.includes(`shard-${index}-`))!;
      const textOf = (events: string) =>
        [...events.matchAll(/"content":("(?:[^"\\]|\\.)*")/g)]
          .map(([, text = '""']) => JSON.parse(text) as string)
          .join('');
      const readAll = async (reader: Awaited<ReturnType<typeof startStream>>) => {
        let rest = '';
        for (;;) {
          const { value, done } = await reader.read();
          if (done) return rest;
          rest += value;
        }
      };
      const undisturbed = await readAll(await startStream(0, long));
      const reader = await startStream(0, long);
      let begun = '';
      while (textOf(begun).length < 8) begun += (await reader.read()).value ?? '';

      process.kill(victim.pid!, 'SIGKILL');
      const rest = await readAll(reader);

      expect(rest).toContain('"finish_reason":"length"');
      expect(textOf(begun + rest)).toBe(textOf(undisturbed));
      const healed = await eventually('the block runs again', async () => {
        const block = await system.block(victim.blockId);
        const [instance] = block?.instances ?? [];
        return (
          block?.state === 'running' &&
          instance?.state === 'ready' &&
          instance.pid !== victim.pid &&
          instance
        );
      });
      expect(healed.pid).not.toBe(victim.pid);
      expect(await differences(system.url, model, question)).toEqual([]);
      await eventually('no shard holds a session', async () =>
        (await openSessions()).every((n) => n === 0),
      );
    },
  );
});

describe('what an answer promises', () => {
  it('holds for the same seed at a temperature', async () => {
    const ask = async () => {
      const body = {
        messages: question.messages,
        temperature: 1.2,
        seed: 7,
        max_tokens: 24,
        return_token_ids: true,
        ignore_eos: true,
      };
      const answer = (await (await post(body)).json()) as { choices: { token_ids: number[] }[] };
      return bare(answer.choices[0]!.token_ids);
    };

    expect(await ask()).toEqual(await ask());
  });

  it('refuses a prompt over the context with both numbers', async () => {
    const response = await post({
      messages: [{ role: 'user', content: 'What is 1 + 1? '.repeat(200) }],
    });
    const { error } = (await response.json()) as { error: { code: string; message: string } };

    expect(response.status).toBe(400);
    expect(error.code).toBe('context_length_exceeded');
    expect(error.message).toMatch(/512/);
  });
});
