import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { System, tinyAssistant } from '../support/system.ts';
import { readGolden } from '../support/tiny-assistant.ts';

let system: System;
const scratch = mkdtempSync(join(tmpdir(), 'aios-dtype-'));

beforeAll(async () => {
  system = await System.start();
  await system.cluster('west', 3, 600 * 2 ** 20);
});
afterAll(async () => {
  await system?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

interface Preview {
  readonly shards: readonly {
    readonly fileBytes: number;
    readonly residentBytes: number;
    readonly kvBytes: number;
    readonly memoryBytes: number;
  }[];
  readonly nodes: readonly { readonly freeMemoryBytes: number; readonly takenBytes: number }[];
  readonly homeless: readonly number[];
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

describe('a model in another type', () => {
  it('is planned without a file being written', async () => {
    const out = join(scratch, 'none');
    const planned = (dtype: string) =>
      system.json<Preview>(
        ...['split', tinyAssistant, '--dtype', dtype, '--shards', '3'],
        ...['--fit', 'west', '--dry-run', '--out', out],
      );

    const [fp16, int4] = [await planned('fp16'), await planned('int4')];

    expect(existsSync(out)).toBe(false);
    expect(int4.shards).toHaveLength(3);
    expect(int4.homeless).toEqual([]);
    expect(sum(int4.nodes.map(({ takenBytes }) => takenBytes))).toBe(
      sum(int4.shards.map(({ memoryBytes }) => memoryBytes)),
    );
    for (const [at, shard] of int4.shards.entries()) {
      expect(shard.fileBytes).toBeLessThan((fp16.shards[at]?.fileBytes ?? 0) / 2);
      expect(shard.residentBytes).toBeLessThan((fp16.shards[at]?.residentBytes ?? 0) / 2);
      expect(shard.kvBytes).toBe(fp16.shards[at]?.kvBytes);
    }
    const { out: table } = await system.aios(
      ...['split', tinyAssistant, '--dtype', 'int4', '--shards', '2', '--fit', 'west', '--dry-run'],
    );
    expect(table).toMatch(/SHARD +LAYERS +FILE +RESIDENT +KV CACHE +PROCESS +MEMORY/);
    expect(table).toMatch(/NODE +FREE +SHARDS +TAKES +LEAVES/);
  });

  it('is measured, and then answers: many at once as each alone', async () => {
    const out = join(scratch, 'plan');
    const text = join(scratch, 'text.txt');
    const rows = readGolden().rows.slice(0, 6);
    writeFileSync(text, rows.map((row) => row.prompt + row.text).join('\n'));
    const split = await system.json<{ evaluation: { topAgreement: number }; dtype: string }>(
      ...['split', tinyAssistant, '--dtype', 'int4', '--shards', '3', '--out', out],
      ...['--evaluate', text],
    );
    expect(split.dtype).toBe('int4');
    expect(split.evaluation.topAgreement).toBeGreaterThan(0.9);
    expect(readdirSync(join(out, 'shard-1')).sort()).toEqual(['stage.onnx', 'weights.bin']);
    const { model } = await system.json<{ model: string }>('create-plan', out, '--wait');

    const ask = async (prompt: readonly number[], seed: number) => {
      const response = await fetch(`${system.url}/v1/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          ...{ model, prompt, seed, temperature: seed % 2, max_tokens: 24, ignore_eos: true },
        }),
      });
      expect(response.status).toBe(200);
      const { choices } = (await response.json()) as { choices: { text: string }[] };
      return choices[0]?.text;
    };
    const alone: unknown[] = [];
    for (const [seed, { promptTokens }] of rows.entries())
      alone.push(await ask(promptTokens, seed));
    const together = await Promise.all(
      rows.map(({ promptTokens }, seed) => ask(promptTokens, seed)),
    );
    expect(together).toEqual(alone);
  });

  it('is refused where it makes no sense', async () => {
    const out = join(scratch, 'refused');
    for (const [words, says] of [
      [['--dtype', 'int3', '--out', out], /fp32, fp16, int8, int4/],
      [['--dtype', 'int4', '--block', '48', '--out', out], /16, 32, 64, 128, 256/],
      [['--dtype', 'int4'], /--out/],
    ] as const) {
      const { exitCode, err } = await system.aios('split', tinyAssistant, ...words);
      expect({ exitCode, err }).toEqual({ exitCode: 2, err: expect.stringMatching(says) });
    }
    expect(existsSync(out)).toBe(false);
  });
});
