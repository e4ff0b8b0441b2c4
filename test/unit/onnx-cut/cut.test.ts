import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CutRequest, cutGraph } from '../../../runtime/model/onnx-cut/cut-graph.ts';
import { createDag, type Dag } from '../../../runtime/model/onnx-cut/dag.ts';
import { inferTypes } from '../../../runtime/model/onnx-cut/infer-types.ts';
import { duplicateWeightLimit } from '../../../runtime/model/onnx-cut/portable.ts';
import { readOnnxFile } from '../../../runtime/model/onnx-cut/read-model.ts';
import { AiosError, type Problem } from '../../../sdk/errors.ts';
import { runSplit, runWhole, splitOnnx } from '../../support/onnx-split.ts';
import { buildGraph, type RandomGraph, randomGraph, randomInputs } from './random-graphs.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-onnx-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let count = 0;
async function write(graph: RandomGraph) {
  const { model, computed } = buildGraph(graph);
  count += 1;
  const path = join(folder, `random-${count}.onnx`);
  await writeFile(path, model);
  return { path, computed, out: join(folder, `out-${count}`) };
}

async function open(path: string): Promise<Dag> {
  const problems: Problem[] = [];
  const file = await readOnnxFile(path, problems);
  const dag = file && createDag(file, problems);
  file?.source.close();
  expect(problems).toEqual([]);
  if (!dag) throw new Error('no graph');
  return dag;
}

/** Cuts that make no shard empty are carried out; a refusal must be one of these. */
async function attempt<T>(split: Promise<T>): Promise<T | undefined> {
  return split.catch((error: unknown) => {
    if (!AiosError.isInstance(error)) throw error;
    expect(['SPLIT_INFEASIBLE', 'REQUEST_INVALID']).toContain(error.code);
    return undefined;
  });
}

describe('any graph', () => {
  test('in any number of parts, or cut at any tensors, gives the same bits', async () => {
    await fc.assert(
      fc.asyncProperty(
        randomGraph,
        fc.oneof(
          fc.integer({ min: 1, max: 5 }),
          fc.array(fc.nat(1000), { minLength: 1, maxLength: 3 }),
        ),
        fc.boolean(),
        async (graph, how, flag) => {
          const { path, computed, out } = await write(graph);
          const options =
            typeof how === 'number'
              ? { shards: how }
              : {
                  cutTensors: [
                    ...new Set(how.map((pick) => computed[pick % computed.length] ?? '')),
                  ],
                };
          const plan = await attempt(splitOnnx(path, out, options));
          if (!plan) return;

          const inputs = randomInputs(flag);
          const whole = await runWhole(path, 'basic', inputs);
          const parts = await runSplit(out, plan, 'basic', inputs);

          expect(Object.keys(parts).sort()).toEqual(Object.keys(whole).sort());
          for (const [name, { data }] of Object.entries(whole)) {
            expect(Buffer.compare(Buffer.from(data), parts[name]?.data ?? Buffer.alloc(0))).toBe(0);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  test('declares what crosses, and computes twice only what is light', async () => {
    await fc.assert(
      fc.asyncProperty(randomGraph, fc.integer({ min: 2, max: 5 }), async (graph, shards) => {
        const { path } = await write(graph);
        const dag = await open(path);
        const { types } = await inferTypes(dag);
        const request: CutRequest = { count: shards };
        const cut = await attempt((async () => cutGraph(dag, types, request))());
        dag.file.source.close();
        if (!cut) return;

        const limit = duplicateWeightLimit(dag);
        let there = new Set(dag.inputs.keys());
        for (const [index, part] of cut.parts.entries()) {
          for (const name of [...part.inputs, ...part.passes]) expect(there).toContain(name);
          const made = new Set(part.nodes.flatMap((node) => dag.nodes[node]?.ref.outputs ?? []));
          for (const node of part.nodes) {
            for (const name of dag.nodes[node]?.reads ?? []) {
              const known =
                made.has(name) || part.inputs.includes(name) || dag.initializers.has(name);
              expect(known).toBe(true);
            }
          }
          for (const node of part.duplicates) {
            for (const name of dag.nodes[node]?.reads ?? []) {
              expect(dag.initializers.get(name)?.sizeBytes ?? 0).toBeLessThanOrEqual(limit);
            }
          }
          const crossing = [...part.outputs, ...part.passes];
          expect(new Set(crossing).size).toBe(crossing.length);
          if (index < cut.frontiers.length) expect(cut.frontiers[index]?.tensors).toEqual(crossing);
          there = new Set(crossing);
        }
        expect([...there].sort()).toEqual(dag.outputs.map(({ name }) => name).sort());
      }),
      { numRuns: 200 },
    );
  });
});

describe('a name that is no place for a cut', () => {
  const graph: RandomGraph = {
    steps: [
      { kind: 'product', picks: [0, 0] },
      { kind: 'product', picks: [2, 0] },
      { kind: 'product', picks: [3, 0] },
    ],
    outputs: [2],
    firstSeed: 1,
  };

  test('is refused, all of them at once', async () => {
    const { path, out } = await write(graph);

    await expect(
      splitOnnx(path, out, { cutTensors: ['t0', 'a', 'w1', 't11', 't0'] }),
    ).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      problems: [
        { path: '$.cut[1]', message: expect.stringContaining('is an input') },
        { path: '$.cut[2]', message: expect.stringContaining('is a weight') },
        { path: '$.cut[3]', nearest: 't1' },
        { path: '$.cut[4]', message: expect.stringContaining('one cut') },
      ],
    });
  });

  test('is the last one, after which nothing is computed', async () => {
    const { path, out } = await write(graph);

    await expect(splitOnnx(path, out, { cutTensors: ['t2'] })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringContaining('shard 1 would compute nothing'),
    });
  });

  test('is as wrong as more parts than there are nodes', async () => {
    const { path, out } = await write(graph);

    await expect(splitOnnx(path, out, { shards: 9 })).rejects.toMatchObject({
      code: 'SPLIT_INFEASIBLE',
      message: expect.stringContaining('3 nodes'),
    });
  });
});
