import { stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import type { Problem } from '../../../sdk/errors.ts';
import type { GraphTensor } from '../../../sdk/spec/component.ts';
import { defineSplitter, type ModelOutline, type SplitContext } from '../../../sdk/splitter.ts';
import type { CheckpointTensor } from '../checkpoint.ts';
import { checkShapes } from '../onnx-cut/check-shapes.ts';
import { type CutGraph, type CutRequest, cutGraph } from '../onnx-cut/cut-graph.ts';
import { createDag, type Dag } from '../onnx-cut/dag.ts';
import { findCutPlaces } from '../onnx-cut/frontiers.ts';
import { declaredTypes, type InferredTypes, inferTypes } from '../onnx-cut/infer-types.ts';
import { createOnnxPlan } from '../onnx-cut/onnx-plan.ts';
import { portableNodes } from '../onnx-cut/portable.ts';
import { readOnnxFile } from '../onnx-cut/read-model.ts';
import { segmentStarts } from '../onnx-cut/segments.ts';
import { shardWeights } from '../onnx-cut/shard-weights.ts';
import { dtypeNames } from '../onnx-cut/tensor-types.ts';
import { assertCuts } from '../split-cuts.ts';
import { identifyShards } from '../split-identity.ts';
import { modelNameOf, shardFolder } from '../split-plan.ts';
import { invalidModel } from '../split-problems.ts';
import {
  assertNotCancelled,
  graphFileName,
  type ShardWeights,
  type WrittenShard,
  writeShard,
} from '../split-shard.ts';

/** Of a process that has loaded ONNX Runtime and no graph, and what packets and outputs take beside. */
const emptyInstanceBytes = 128 * 2 ** 20;
const noTypes: InferredTypes = { types: new Map() };
/** What is alive inside a part, against what crosses the widest cut. */
const aliveFactor = 4;

interface CheckedGraph {
  readonly dag: Dag;
  readonly types: InferredTypes['types'];
  readonly outline: ModelOutline;
  readonly cut: CutGraph;
  readonly weights: readonly ShardWeights[];
  /** Per part: the planner's layers it holds, both inclusive. */
  readonly layers: readonly (readonly [number, number])[];
}

interface WrittenGraph extends CheckedGraph {
  readonly written: readonly WrittenShard[];
}

/** Cuts any ONNX graph. Weights are used where they lie, in the `.onnx` itself or beside it. */
export const onnxSplitter = defineSplitter<CheckedGraph, WrittenGraph>({
  name: 'onnx',
  description: 'An .onnx file of any graph, with or without external data.',
  cutsTensors: true,

  async accepts(model) {
    if (extname(model).toLowerCase() !== '.onnx') return false;
    return (await stat(model).catch(() => undefined))?.isFile() ?? false;
  },

  async begin(context) {
    const { modelFolder: path } = context;
    context.progress(0, 'reading the graph');
    const problems: Problem[] = [];
    const file = await readOnnxFile(path, problems);
    const dag = file && problems.length === 0 ? createDag(file, problems) : undefined;
    if (!dag || problems.length > 0) throw invalidModel(path, problems);
    problems.push(...checkShapes(path, declaredTypes(dag)));
    const { types, fault } = problems.length === 0 ? await inferTypes(dag) : noTypes;
    problems.push(...checkShapes(path, types));
    if (problems.length > 0) {
      dag.file.source.close();
      throw invalidModel(path, problems);
    }
    if (fault) context.progress(0.5, `types are taken from the file alone, since ${fault}`);
    assertNotCancelled(context.signal);
    const planned = await planCut(context, dag, types);
    const weights = planned.cut.parts.map((part) => shardWeights(dag, part, types));
    dag.file.source.close();
    return { dag, types, weights, ...planned };
  },

  shards: ({ cut, layers, weights }) =>
    cut.parts.map(({ weightBytes }, index) => {
      const [firstLayer, lastLayer] = layers[index] ?? [index, index];
      return {
        ...{ firstLayer, lastLayer, hasEmbedding: false, hasHead: false },
        fileBytes: sumBytes(weights[index]?.tensors ?? []),
        ...{ residentBytes: weightBytes, kvBytes: 0, ...cutAfter(cut, index) },
      };
    }),

  async main(context, graph) {
    const { outFolder, copy, signal } = context;
    const totalBytes = Math.max(1, sumBytes(graph.weights.flatMap(({ tensors }) => tensors)));
    let doneBytes = 0;
    const written: WrittenShard[] = [];
    try {
      for (const [index, weights] of graph.weights.entries()) {
        assertNotCancelled(signal);
        const onBytes = (bytes: number) => {
          doneBytes += bytes;
          context.progress(doneBytes / totalBytes, `copying the weights of shard ${index}`);
        };
        const folder = join(outFolder, shardFolder(index));
        const shard = await writeShard(weights, { folder, copy, signal, onBytes });
        written.push(shard);
        const how = shard.linkFault
          ? `copied, since linking failed: ${shard.linkFault}`
          : 'written';
        context.progress((index + 1) / graph.weights.length, `shard ${index} ${how}`);
      }
    } finally {
      graph.dag.file.source.close();
    }
    return { ...graph, written };
  },

  async finish(context, graph) {
    const { cut, weights, written, outline, layers } = graph;
    const { shards: identified, pending } = await identifyShards(
      context,
      written.map((shard, index) => ({ ...shard, tensors: weights[index]?.tensors ?? [] })),
    );
    const shards = identified.map(({ stageHash, files }, index) => {
      const part = cut.parts[index];
      const tensors = weights[index]?.tensors ?? [];
      const [firstLayer, lastLayer] = layers[index] ?? [index, index];
      return {
        plan: {
          firstLayer,
          lastLayer,
          fileBytes: sumBytes(tensors),
          residentBytes: part?.weightBytes ?? 0,
          ...cutAfter(cut, index),
        },
        graph: {
          stageHash,
          index,
          count: cut.parts.length,
          inputs: describeTensors(graph, part?.inputs ?? []),
          outputs: describeTensors(graph, part?.outputs ?? []),
          passes: [...(part?.passes ?? [])],
          graph: graphFileName,
          files: [...files],
        },
      };
    });
    const { planner, maxSessions } = context;
    const plan = createOnnxPlan({ planner, outline, maxSessions, shards });
    return pending ? { ...plan, pending } : plan;
  },
});

/** Asks for cuts where the user named none: as many as they asked for, or as the planner says. */
async function planCut(
  context: SplitContext,
  dag: Dag,
  types: InferredTypes['types'],
): Promise<Pick<CheckedGraph, 'outline' | 'cut' | 'layers'>> {
  const { cutTensors, shards } = context;
  const request: CutRequest | undefined =
    cutTensors.length > 0
      ? { tensors: cutTensors }
      : shards === undefined
        ? undefined
        : { count: shards };
  if (request) {
    const cut = cutGraph(dag, types, request);
    const outline = outlineOf(context, cut);
    // The planner may refuse, for want of memory; where to cut is settled.
    if ('count' in request) await context.plan(outline);
    return { outline, cut, layers: cut.parts.map((_, index) => [index, index]) };
  }
  const starts = segmentStarts(findCutPlaces(dag, types, portableNodes(dag, types)));
  const outline = outlineOf(context, cutGraph(dag, types, { starts }));
  const firsts = assertCuts(await context.plan(outline), outline);
  const cut = cutGraph(dag, types, {
    starts: firsts.slice(1).flatMap((first) => starts[first - 1] ?? []),
  });
  const last = (index: number) => (firsts[index + 1] ?? outline.layers.length) - 1;
  return { outline, cut, layers: firsts.map((first, index) => [first, last(index)]) };
}

function outlineOf({ modelFolder }: SplitContext, { parts, frontiers }: CutGraph): ModelOutline {
  const widest = Math.max(0, ...frontiers.map(({ trafficBytes }) => trafficBytes));
  return {
    name: modelNameOf(basename(modelFolder, extname(modelFolder))),
    architecture: 'ONNX',
    contextTokens: 1,
    layers: parts.map(({ weightBytes }) => ({ residentBytes: weightBytes, kvBytes: 0 })),
    embeddingBytes: 0,
    headBytes: 0,
    overheadBytes: emptyInstanceBytes + aliveFactor * widest,
  };
}

function describeTensors({ types }: CheckedGraph, names: readonly string[]): GraphTensor[] {
  return names.map((name) => {
    const type = types.get(name);
    const dtype = dtypeNames[type?.dataType ?? 0] ?? 'unknown';
    return { name, dtype, ...(type?.shape ? { shape: [...type.shape] } : {}) };
  });
}

function cutAfter({ frontiers }: CutGraph, index: number) {
  const frontier = frontiers[index];
  return frontier ? { cut: { ...frontier, tensors: [...frontier.tensors] } } : {};
}

const sumBytes = (tensors: readonly CheckpointTensor[]) =>
  tensors.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
