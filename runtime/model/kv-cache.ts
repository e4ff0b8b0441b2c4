import { AiosError } from '../../sdk/errors.ts';
import type { StageSpec } from '../../sdk/spec/component.ts';
import { elementCount } from '../../sdk/tensor.ts';
import type { OnnxRuntime, OnnxTensor } from './onnx-runtime.ts';
import { stageTensors } from './stage.ts';

/** The keys and values of adjacent slots: the same tensors go in as past and come out as present. */
export interface KvRows {
  readonly past: Readonly<Record<string, OnnxTensor>>;
  readonly present: Readonly<Record<string, OnnxTensor>>;
}

/** The keys and values of every session of a stage. */
export interface KvCache {
  /** The slots `[first, first + count)` as a batch. */
  rows(first: number, count: number): KvRows;
  /** Copies the first `tokens` positions of one slot into another. */
  copy(from: number, to: number, tokens: number): void;
  /** Lets two slots change places: the first positions of each. */
  swap(a: SlotTokens, b: SlotTokens): void;
}

/** A slot and the positions it holds. */
export interface SlotTokens {
  readonly slot: number;
  readonly tokens: number;
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

/** Views kept for ranges that were asked for; a view costs a microsecond a layer to make. */
const maxKeptRanges = 128;

/**
 * One buffer per layer and key or value, [maxSessions, keyValueHeads, contextTokens, headSize] float32, cut into slots:
 * a view over adjacent slots is a batch.
 *
 * Nothing is written to it here: the operating system gives a page its memory when a token first touches it, so an idle
 * slot costs nothing.
 *
 * @throws {AiosError} MODEL_LOAD_FAILED - the address space does not hold it
 */
export function createKvCache(runtime: OnnxRuntime, stage: StageSpec): KvCache {
  const [, heads, context, size] = kvShape(stage);
  const slotElements = elementCount(kvShape(stage));
  const buffers = Array.from({ length: layerCount(stage) }, () => ({
    key: allocate(stage, slotElements),
    value: allocate(stage, slotElements),
  }));
  const kept = new Map<number, KvRows>();
  const aside = new Float32Array(context * size);
  const headElements = context * size;
  /** Calls with every buffer, and where each head of slot 0 begins in it. */
  const everyHead = (visit: (buffer: Float32Array, start: number) => void) => {
    for (const { key, value } of buffers) {
      for (let head = 0; head < heads; head += 1) {
        visit(key, head * headElements);
        visit(value, head * headElements);
      }
    }
  };

  function view(first: number, count: number): KvRows {
    const ofRange = (buffer: Float32Array) =>
      runtime.float32(buffer.subarray(first * slotElements, (first + count) * slotElements), [
        count,
        heads,
        context,
        size,
      ]);
    const tensors = buffers.map(({ key, value }) => ({ key: ofRange(key), value: ofRange(value) }));
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
  }

  return {
    rows(first, count) {
      if (first < 0 || count < 1 || first + count > stage.maxSessions) {
        throw new RangeError(`slots ${first} to ${first + count - 1} of ${stage.maxSessions}`);
      }
      const range = first * (stage.maxSessions + 1) + count;
      const known = kept.get(range);
      if (known) return known;
      if (kept.size >= maxKeptRanges) kept.clear();
      const rows = view(first, count);
      kept.set(range, rows);
      return rows;
    },
    copy(from, to, tokens) {
      everyHead((buffer, head) => {
        const start = head + from * slotElements;
        buffer.copyWithin(head + to * slotElements, start, start + tokens * size);
      });
    },
    swap(a, b) {
      const kept = aside.subarray(0, a.tokens * size);
      everyHead((buffer, head) => {
        const [atA, atB] = [head + a.slot * slotElements, head + b.slot * slotElements];
        kept.set(buffer.subarray(atA, atA + kept.length));
        buffer.copyWithin(atA, atB, atB + b.tokens * size);
        buffer.set(kept, atB);
      });
    },
  };
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
