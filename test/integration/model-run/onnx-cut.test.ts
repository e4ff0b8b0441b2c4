import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OnnxArrays } from '../../../runtime/model/onnx-cut/onnx-shard.ts';
import type { SplitPlan } from '../../../sdk/spec/plan.ts';
import { type WrittenModel, writeDetector, writeEncoder } from '../../support/onnx-models.ts';
import {
  floats,
  integers,
  relativeError,
  runSplit,
  runWhole,
  splitOnnx,
} from '../../support/onnx-split.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-onnx-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const tokens = 24;
const sentence: OnnxArrays = {
  input_ids: integers(
    [2, tokens],
    Array.from({ length: 2 * tokens }, (_, index) => (index * 37) % 1900),
  ),
  attention_mask: integers(
    [2, tokens],
    Array.from({ length: 2 * tokens }, (_, index) => (index % tokens < 20 ? 1 : 0)),
  ),
};
const picture: OnnxArrays = { images: floats([1, 3, 160, 160], (index) => Math.sin(index / 7)) };

const isExact = ({ shards }: SplitPlan) => shards.every(({ cut }) => !cut || cut.kind === 'exact');

/** Cuts and compares at both levels. */
async function expectEqual(
  { path }: WrittenModel,
  inputs: OnnxArrays,
  options: Parameters<typeof splitOnnx>[2],
): Promise<SplitPlan> {
  const out = join(dirname(path), `out-${JSON.stringify(options).replace(/\W+/g, '-')}`);
  const plan = await splitOnnx(path, out, options);
  for (const level of ['basic', 'all'] as const) {
    const whole = await runWhole(path, level, inputs);
    const parts = await runSplit(out, plan, level, inputs);
    expect(Object.keys(parts)).toEqual(Object.keys(whole));
    for (const [name, tensor] of Object.entries(whole)) {
      expect(parts[name]?.shape).toEqual(tensor.shape);
      if (level === 'basic' || isExact(plan)) {
        expect(Buffer.compare(Buffer.from(tensor.data), parts[name]?.data ?? Buffer.alloc(0))).toBe(
          0,
        );
      } else {
        expect(relativeError(tensor, parts[name])).toBeLessThan(1e-5);
      }
    }
  }
  return plan;
}

describe('an encoder of 55 MB', () => {
  let model: WrittenModel;
  beforeAll(() => {
    model = writeEncoder(join(folder, 'encoder'), {
      layers: 6,
      hidden: 384,
      heads: 6,
      vocabulary: 8000,
    });
  });

  test('cut into 3 agrees with the whole, bit for bit at both levels', async () => {
    const plan = await expectEqual(model, sentence, { shards: 3 });

    expect(isExact(plan)).toBe(true);
    const sizes = plan.shards.map(({ fileBytes }) => fileBytes);
    expect(Math.max(...sizes)).toBeLessThan(1.25 * (model.weightBytes / 3));
    expect(Math.min(...sizes)).toBeGreaterThan(0.5 * (model.weightBytes / 3));
  });

  test('sends one tensor beside the mask, which each shard computes for itself', async () => {
    const plan = await expectEqual(model, sentence, { shards: 2 });

    expect(plan.shards[0]?.cut?.tensors).toEqual([
      expect.stringMatching(/^\/LayerNormalization_/),
      'attention_mask',
    ]);
  });

  test('is a link and some kilobytes', async () => {
    const out = join(folder, 'links');
    const plan = await splitOnnx(model.path, out, { shards: 3 });

    const original = await stat(join(folder, 'encoder', 'model.onnx_data'));
    for (const { folder: name } of plan.shards) {
      const linked = await stat(join(out, name, 'model.onnx_data'));
      expect(linked.ino).toBe(original.ino);
      expect((await stat(join(out, name, 'stage.onnx'))).size).toBeLessThan(64 * 1024);
    }
  });

  test('copied instead of linked, each shard has its own weights alone', async () => {
    const plan = await expectEqual(model, sentence, { shards: 3, copy: true });

    const copied = plan.components.map(({ graph }) => graph?.files[1]?.sizeBytes ?? 0);
    expect(copied.every((size) => size < 0.5 * model.weightBytes)).toBe(true);
    expect(copied.reduce((sum, size) => sum + size, 0)).toBeLessThan(1.01 * model.weightBytes);
  });
});

test.each([
  { normFirst: true, decomposedNorm: false, inline: true },
  { normFirst: true, decomposedNorm: true, inline: false },
  { normFirst: false, decomposedNorm: true, inline: true },
])('a small encoder agrees with the whole in any number of parts: %o', async (style) => {
  const name = JSON.stringify(style).replace(/\W+/g, '-');
  const sizes = { layers: 3, hidden: 128, heads: 4, vocabulary: 2000, ...style };
  const model = writeEncoder(join(folder, name), sizes);

  for (const shards of [1, 2, 3, 5, 9]) await expectEqual(model, sentence, { shards });
});

describe('a detector of 38 MB', () => {
  let model: WrittenModel;
  beforeAll(() => {
    model = writeDetector(join(folder, 'detector'), 64);
  });

  test.each([1, 2, 3, 4, 8])('cut into %i agrees with the whole', async (shards) => {
    const plan = await expectEqual(model, picture, { shards });

    expect(plan.shards).toHaveLength(shards);
    expect(isExact(plan)).toBe(true);
  });

  test('agrees when cut at tensors by name, also inside a convolution and its norm', async () => {
    const plan = await expectEqual(model, picture, { cutTensors: ['/Conv_60', '/Concat_130'] });

    expect(plan.shards).toHaveLength(3);
    // A convolution is fused with its batch norm: the cut lies after both.
    expect(plan.shards[0]?.cut?.tensors).toContain('/BatchNormalization_61');
    expect(plan.shards[1]?.cut?.tensors).toContain('/Concat_130');
  });
});

test('a planner that is asked where to cut sees the places that cost little', async () => {
  const model = writeEncoder(join(folder, 'planned'), {
    layers: 4,
    hidden: 128,
    heads: 4,
    vocabulary: 2000,
  });
  const seen: number[] = [];
  const plan = await expectEqual(model, sentence, {
    plan: async ({ layers }) => {
      seen.push(layers.length);
      return { firstLayers: [0, Math.floor(layers.length / 2)] };
    },
  });

  expect(seen[0]).toBeGreaterThan(3);
  expect(plan.shards).toHaveLength(2);
  expect(plan.shards[1]?.lastLayer).toBe((seen[0] ?? 0) - 1);
});

test('with fixed shapes more is fused at the default level, and what is called exact stays so', async () => {
  const sizes = { layers: 2, hidden: 64, heads: 4, vocabulary: 2000, inline: true };
  const model = writeEncoder(join(folder, 'fixed'), { ...sizes, shape: [2, tokens] });
  const kinds = new Set<string | undefined>();
  for (const tensor of ['/Add_33', '/LayerNormalization_34', '/MatMul_35', '/Erf_38', '/Add_44']) {
    const plan = await expectEqual(model, sentence, { cutTensors: [tensor] });
    kinds.add(plan.shards[0]?.cut?.kind);
  }

  expect([...kinds].sort()).toEqual(['exact', 'within 1e-5']);
});
