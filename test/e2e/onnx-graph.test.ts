import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import { type TensorJson, tensorsFromJson, tensorToJson } from '../../sdk/tensor-json.ts';
import { writeDetector, writeEncoder } from '../support/onnx-models.ts';
import { floats, integers, runWhole } from '../support/onnx-split.ts';
import { System } from '../support/system.ts';

let system: System;
const scratch = mkdtempSync(join(tmpdir(), 'aios-graphs-'));

beforeAll(async () => {
  system = await System.start();
  await system.cluster('west', 6, 600 * 2 ** 20);
});

afterAll(async () => {
  await system?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

const ids = Array.from({ length: 12 }, (_, index) => (index * 37) % 900);
const cases = {
  encoder: {
    write: () =>
      writeEncoder(join(scratch, 'encoder'), {
        layers: 4,
        hidden: 128,
        heads: 4,
        vocabulary: 1000,
      }),
    inputs: {
      input_ids: integers([1, 12], ids),
      attention_mask: integers(
        [1, 12],
        ids.map(() => 1),
      ),
    },
  },
  detector: {
    write: () => writeDetector(join(scratch, 'detector'), 16),
    inputs: { images: floats([1, 3, 160, 160], (index) => Math.sin(index / 9)) },
  },
};

it.each(Object.entries(cases))(
  'an ONNX %s served in three parts answers as the whole',
  async (name, { write, inputs }) => {
    const { path } = write();
    const folder = join(scratch, `${name}-plan`);
    const plan = await system.json<SplitPlan>('split', path, '--shards', '3', '--out', folder);
    expect(plan.shards.map(({ cut }) => cut?.kind)).toEqual(['exact', 'exact', undefined]);
    const created = await system.json<{ vdagUri: string }>(
      'create-plan',
      folder,
      '--wait',
      '--timeout',
      '30s',
    );

    const tensors = Object.fromEntries(
      Object.entries(tensorsFromJson({ tensors: toJson(inputs) })).map(([key, tensor]) => [
        key,
        tensorToJson(tensor),
      ]),
    );
    const request = join(scratch, `${name}.json`);
    writeFileSync(request, JSON.stringify({ tensors }));
    const answer = await system.json<{ tensors: Record<string, TensorJson> }>(
      'infer',
      'vdag',
      created.vdagUri,
      '--data',
      `@${request}`,
    );

    const whole = await runWhole(path, 'basic', inputs);
    const served = tensorsFromJson(answer);
    expect(Object.keys(served)).toEqual(Object.keys(whole));
    for (const [key, { shape, data }] of Object.entries(whole)) {
      expect(served[key]?.shape).toEqual(shape);
      expect(Buffer.compare(Buffer.from(data), served[key]?.data ?? Buffer.alloc(0))).toBe(0);
    }

    const wrong = await system.aios('infer', 'vdag', created.vdagUri, '--data', '{"tensors":{}}');
    expect(wrong.exitCode).toBe(2);
    expect(wrong.err).toContain(`needs the tensors`);
  },
);

const toJson = (inputs: Record<string, ReturnType<typeof floats>>) =>
  Object.fromEntries(
    Object.entries(inputs).map(([key, { dtype, shape, data }]) => [
      key,
      { dtype, shape, data: Buffer.from(data).toString('base64') },
    ]),
  );
