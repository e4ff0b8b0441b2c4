import { AiosError, type Problem } from '../../sdk/errors.ts';
import type { StageSpec } from '../../sdk/spec/component.ts';
import { kvShape, layerCount } from './kv-cache.ts';
import type { GraphValue, LoadedGraph } from './onnx-runtime.ts';
import { stageTensors } from './stage.ts';

/** Sizes that must be in the graph; null: free. */
type ExpectedValue = readonly [name: string, dtype: string, shape: readonly (number | null)[]];

/**
 * Holds a graph against what its stage says of it, so that a wrong file fails at load and not in the first answer.
 *
 * @throws {AiosError} MODEL_LOAD_FAILED - with a problem for each tensor that is missing, unknown or of another type
 */
export function assertStageGraph(graph: LoadedGraph, stage: StageSpec): void {
  const problems = [
    ...compare('input', graph.inputs, expectedInputs(stage)),
    ...compare('output', graph.outputs, expectedOutputs(stage)),
  ];
  if (problems.length === 0) return;
  throw new AiosError(
    'MODEL_LOAD_FAILED',
    `the graph '${stage.graph}' is not stage ${stage.index} of ${stage.count} as its component describes it: ` +
      `${problems.map(({ path, message }) => `${path} ${message}`).join('; ')}. Split the model again.`,
    { problems },
  );
}

const layers = (stage: StageSpec) => Array.from({ length: layerCount(stage) }, (_, layer) => layer);

function expectedInputs(stage: StageSpec): ExpectedValue[] {
  const [, heads, context, size] = kvShape(stage);
  const cache = [null, heads, context, size];
  return [
    stage.hasEmbedding
      ? [stageTensors.inputIds, 'int32', [null, null]]
      : [stageTensors.hiddenIn, 'float32', [null, null, stage.hiddenSize]],
    [stageTensors.seqlensK, 'int32', [null]],
    [stageTensors.totalSequenceLength, 'int32', []],
    ...layers(stage).flatMap((layer): ExpectedValue[] => [
      [stageTensors.pastKey(layer), 'float32', cache],
      [stageTensors.pastValue(layer), 'float32', cache],
    ]),
  ];
}

function expectedOutputs(stage: StageSpec): ExpectedValue[] {
  const [, heads, context, size] = kvShape(stage);
  const cache = [null, heads, context, size];
  return [
    stage.hasHead
      ? [stageTensors.logits, 'float32', [null, null, stage.vocabularySize]]
      : [stageTensors.hiddenOut, 'float32', [null, null, stage.hiddenSize]],
    ...layers(stage).flatMap((layer): ExpectedValue[] => [
      [stageTensors.presentKey(layer), 'float32', cache],
      [stageTensors.presentValue(layer), 'float32', cache],
    ]),
  ];
}

function compare(
  side: 'input' | 'output',
  values: readonly GraphValue[],
  expected: readonly ExpectedValue[],
): Problem[] {
  const seen = new Map(values.map((value) => [value.name, value]));
  const known = new Set(expected.map(([name]) => name));
  const wrong = expected.flatMap(([name, dtype, shape]): Problem[] => {
    const value = seen.get(name);
    const wanted = `${dtype} [${shape.map((size) => size ?? 'any').join(', ')}]`;
    if (!value) return [{ path: `${side} '${name}'`, message: 'is missing', expected: wanted }];
    if (value.dtype === dtype && fits(value.shape, shape)) return [];
    const found = `${value.dtype} [${value.shape.join(', ')}]`;
    return [
      {
        path: `${side} '${name}'`,
        message: `is ${found}, not ${wanted}`,
        expected: wanted,
        seen: found,
      },
    ];
  });
  const unknown = values
    .filter(({ name }) => !known.has(name))
    .map(({ name }): Problem => ({ path: `${side} '${name}'`, message: 'is not expected' }));
  return [...wrong, ...unknown];
}

const fits = (found: readonly (number | string)[], wanted: readonly (number | null)[]) =>
  found.length === wanted.length &&
  wanted.every((size, at) => size === null || typeof found[at] === 'string' || found[at] === size);
