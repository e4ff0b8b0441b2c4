import { AiosError } from '../../sdk/errors.ts';
import type { StageSpec } from '../../sdk/spec/component.ts';
import { elementCount } from '../../sdk/tensor.ts';
import type { OnnxRuntime, OnnxTensor } from './onnx-runtime.ts';
import { stageTensors } from './stage.ts';

/** The keys and values of one session: the same tensors go in as past and come out as present. */
export interface KvSlot {
  readonly past: Readonly<Record<string, OnnxTensor>>;
  readonly present: Readonly<Record<string, OnnxTensor>>;
}

/** Layers a stage holds. */
export const layerCount = ({ firstLayer, lastLayer }: StageSpec): number =>
  lastLayer - firstLayer + 1;

/** [batch, heads, context, head] of one slot. */
export const kvShape = (stage: StageSpec): readonly [number, number, number, number] => [
  1,
  stage.keyValueHeads,
  stage.contextTokens,
  stage.headSize,
];

/**
 * One buffer per layer and key or value, [maxSessions, keyValueHeads, contextTokens, headSize] float32, cut into slots.
 *
 * Nothing is written to it here: the operating system gives a page its memory when a token first touches it, so an idle
 * slot costs nothing.
 *
 * @throws {AiosError} MODEL_LOAD_FAILED - the address space does not hold it
 */
export function createKvCache(runtime: OnnxRuntime, stage: StageSpec): readonly KvSlot[] {
  const shape = kvShape(stage);
  const slotElements = elementCount(shape);
  const buffers = Array.from({ length: layerCount(stage) }, () => ({
    key: allocate(stage, slotElements),
    value: allocate(stage, slotElements),
  }));
  return Array.from({ length: stage.maxSessions }, (_, slot) => {
    const ofSlot = (buffer: Float32Array) =>
      runtime.float32(buffer.subarray(slot * slotElements, (slot + 1) * slotElements), shape);
    const tensors = buffers.map(({ key, value }) => ({ key: ofSlot(key), value: ofSlot(value) }));
    const named = (keyName: (layer: number) => string, valueName: (layer: number) => string) =>
      Object.fromEntries(
        tensors.flatMap(({ key, value }, layer) => [
          [keyName(layer), key],
          [valueName(layer), value],
        ]),
      );
    return {
      past: named(stageTensors.pastKey, stageTensors.pastValue),
      present: named(stageTensors.presentKey, stageTensors.presentValue),
    };
  });
}

function allocate(stage: StageSpec, slotElements: number): Float32Array {
  const elements = stage.maxSessions * slotElements;
  try {
    return new Float32Array(elements);
  } catch (cause) {
    throw new AiosError(
      'MODEL_LOAD_FAILED',
      `the KV cache of stage ${stage.index} needs ${elements * 4} bytes for each of ${2 * layerCount(stage)} buffers, ` +
        `which this process cannot reserve. Split with fewer sessions than ${stage.maxSessions} or a shorter context.`,
      { cause },
    );
  }
}
