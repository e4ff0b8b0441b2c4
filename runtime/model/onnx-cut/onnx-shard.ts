import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AiosError } from '../../../sdk/errors.ts';
import {
  type GraphValue,
  loadOnnxLibrary,
  type OnnxLibrary,
  type OnnxTensor,
} from '../onnx-runtime.ts';

type Session = Awaited<ReturnType<OnnxLibrary['InferenceSession']['create']>>;

/** A dense, row-major array of any type that ONNX Runtime takes. */
export interface OnnxArray {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

export type OnnxArrays = Readonly<Record<string, OnnxArray>>;

/** One ONNX graph, ready to run. */
export interface OnnxShard {
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  /**
   * Blocks this thread while it computes.
   *
   * @throws {AiosError} TENSOR_MISMATCH - an input is missing, or has another type or shape than the graph's
   */
  run(inputs: OnnxArrays): Promise<Record<string, OnnxArray>>;
  release(): Promise<void>;
}

export interface OnnxShardOptions {
  /** @default 1 */
  readonly threads?: number;
  /**
   * `basic`: the same bits wherever the model was cut. `all`: also fuses groups of nodes, which may differ in the last bits
   * where a cut falls inside one. `disabled`: nothing is computed at load. @default 'basic'
   */
  readonly optimization?: 'disabled' | 'basic' | 'all';
}

type Elements = new (buffer: ArrayBufferLike, offset: number, length: number) => OnnxTensor['data'];

/** Names of the types that cross to ONNX Runtime, and what holds their elements. */
const elements: Readonly<Record<string, readonly [number, Elements]>> = {
  float32: [4, Float32Array],
  float64: [8, Float64Array],
  float16: [2, Uint16Array],
  uint8: [1, Uint8Array],
  int8: [1, Int8Array],
  uint16: [2, Uint16Array],
  int16: [2, Int16Array],
  uint32: [4, Uint32Array],
  int32: [4, Int32Array],
  uint64: [8, BigUint64Array],
  int64: [8, BigInt64Array],
  bool: [1, Uint8Array],
};

/** Whether tensors of this type can be given to a graph and taken from it. */
export const canCross = (dtype: string) => Object.hasOwn(elements, dtype);

/**
 * Loads a graph with the weights beside it.
 *
 * @param model - path of the `.onnx` file, or its bytes when it has no weights outside
 * @throws {AiosError} MODEL_LOAD_FAILED, EXECUTOR_MISSING
 */
export async function createOnnxShard(
  model: string | Uint8Array,
  { threads = 1, optimization = 'basic' }: OnnxShardOptions = {},
): Promise<OnnxShard> {
  const library = await loadOnnxLibrary();
  const folder = typeof model === 'string' ? dirname(model) : undefined;
  const options = {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: optimization,
    logSeverityLevel: 4,
    extra: {
      session: {
        ...(folder ? { model_external_initializers_file_folder_path: folder } : {}),
        intra_op: { allow_spinning: '0' },
      },
    },
  } satisfies Parameters<OnnxLibrary['InferenceSession']['create']>[1];
  const session = await open(model, async (bytes) =>
    library.InferenceSession.create(bytes, options),
  );
  return {
    inputs: session.inputMetadata.map(describe),
    outputs: session.outputMetadata.map(describe),
    async run(inputs) {
      const feeds: Record<string, OnnxTensor> = {};
      for (const name of session.inputNames) {
        const array = inputs[name];
        if (!array) throw mismatch(`input '${name}' is missing.`);
        const { dtype, shape } = array;
        const data = elementsOf(name, array);
        feeds[name] = new library.Tensor(dtype as 'float32', data as Float32Array, shape);
      }
      const results = await runChecked(session, feeds);
      return Object.fromEntries(
        Object.entries(results).map(([name, result]) => [name, arrayOf(result as OnnxTensor)]),
      );
    },
    release: () => session.release(),
  };
}

async function open(
  model: string | Uint8Array,
  create: (bytes: Uint8Array) => Promise<Session>,
): Promise<Session> {
  try {
    return await create(typeof model === 'string' ? await readFile(model) : model);
  } catch (cause) {
    const what = typeof model === 'string' ? `'${model}'` : 'the graph';
    throw new AiosError(
      'MODEL_LOAD_FAILED',
      `ONNX Runtime cannot load ${what}: ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
}

async function runChecked(session: Session, feeds: Record<string, OnnxTensor>) {
  try {
    return await session.run(feeds);
  } catch (cause) {
    throw mismatch(`ONNX Runtime refused the tensors: ${messageOf(cause)}`);
  }
}

function elementsOf(name: string, { dtype, shape, data }: OnnxArray): OnnxTensor['data'] {
  const [width, Type] = elements[dtype] ?? [];
  if (!width || !Type)
    throw mismatch(`tensor '${name}' has the type ${dtype}, which cannot be given.`);
  const count = shape.reduce((product, size) => product * size, 1);
  if (count * width !== data.byteLength) {
    throw mismatch(
      `${dtype} tensor '${name}' of shape [${shape}] does not hold ${data.byteLength} bytes.`,
    );
  }
  // A view over a packet may start anywhere; typed arrays start at multiples of their width.
  const aligned = data.byteOffset % width === 0 ? data : new Uint8Array(data);
  return new Type(aligned.buffer, aligned.byteOffset, count);
}

function arrayOf({ type, dims, data }: OnnxTensor): OnnxArray {
  if (!ArrayBuffer.isView(data)) throw mismatch(`a result of type ${type} cannot be passed on.`);
  const view = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { dtype: type, shape: dims, data: view };
}

const describe = (value: Session['inputMetadata'][number]): GraphValue =>
  value.isTensor
    ? { name: value.name, dtype: value.type, shape: value.shape }
    : { name: value.name, dtype: 'not a tensor', shape: [] };

const mismatch = (message: string) => new AiosError('TENSOR_MISMATCH', message);
const messageOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause));
