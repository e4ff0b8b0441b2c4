import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { AiosError } from '../../sdk/errors.ts';
import { type InPlaceOutputs, tryInPlace } from './onnx-in-place.ts';

/** A tensor over a buffer of ours: what is written into the buffer is what the next run reads, and the other way round. */
export type OnnxTensor = Tensor;

export interface GraphValue {
  readonly name: string;
  readonly dtype: string;
  /** Free dimensions by name. */
  readonly shape: readonly (number | string)[];
}

export interface GraphOptions {
  readonly threads: number;
  /** Whether idle threads spin instead of sleeping. @default false */
  readonly spin?: boolean;
}

/** One graph, ready to run. */
export interface LoadedGraph {
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  /**
   * Runs once, into the given output tensors: nothing is copied. Blocks this thread while it computes. A tensor may be
   * an input and an output at once where the graph's operators allow it.
   */
  run(
    inputs: Readonly<Record<string, OnnxTensor>>,
    outputs: Readonly<Record<string, OnnxTensor>>,
  ): Promise<void>;
  release(): Promise<void>;
}

/** The one door to ONNX Runtime. */
export interface OnnxRuntime {
  float32(data: Float32Array, shape: readonly number[]): OnnxTensor;
  int32(data: Int32Array, shape: readonly number[]): OnnxTensor;
  /** @throws {AiosError} MODEL_LOAD_FAILED */
  loadGraph(path: string, options: GraphOptions): Promise<LoadedGraph>;
}

/**
 * Loads the native library, on first use only: the driver and the control plane never need it.
 *
 * @throws {AiosError} EXECUTOR_MISSING - the package is not installed, or has no binary for this machine
 */
export async function loadOnnxRuntime(): Promise<OnnxRuntime> {
  return createOnnxRuntime(await importLibrary());
}

export type OnnxLibrary = Pick<typeof import('onnxruntime-node'), 'InferenceSession' | 'Tensor'>;

/** @param library - onnxruntime-node */
export async function createOnnxRuntime(library: OnnxLibrary): Promise<OnnxRuntime> {
  const float32 = (data: Float32Array, shape: readonly number[]) =>
    new library.Tensor('float32', data, shape);
  const inPlace = await tryInPlace<Tensor>({
    openSession: (model) =>
      library.InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 4 }),
    float32,
  });
  return {
    float32,
    int32: (data, shape) => new library.Tensor('int32', data, shape),
    async loadGraph(path, options) {
      const session = await openSession(library, inPlace, path, options);
      return {
        inputs: session.inputMetadata.map(describe),
        outputs: session.outputMetadata.map(describe).filter(({ name }) => !inPlace.isOwn(name)),
        run: (inputs, outputs) => inPlace.run(session, inputs, outputs),
        release: () => session.release(),
      };
    },
  };
}

async function openSession(
  library: OnnxLibrary,
  inPlace: InPlaceOutputs<Tensor>,
  path: string,
  { threads, spin = false }: GraphOptions,
): Promise<InferenceSession> {
  try {
    const model = inPlace.prepare(await readFile(path));
    return await library.InferenceSession.create(
      model,
      sessionOptions(dirname(path), threads, spin),
    );
  } catch (cause) {
    throw new AiosError(
      'MODEL_LOAD_FAILED',
      `ONNX Runtime cannot load the stage '${path}': ${messageOf(cause)}. ` +
        'Check that the graph and the weight files beside it are whole, or split the model again.',
      { cause },
    );
  }
}

function sessionOptions(
  weightFolder: string,
  threads: number,
  spin: boolean,
): InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    // Beyond this, what gets fused depends on where a model was cut, and so do the last bits; speed is the same.
    graphOptimizationLevel: 'basic',
    enableCpuMemArena: true,
    enableMemPattern: false,
    logSeverityLevel: 3,
    extra: {
      session: {
        model_external_initializers_file_folder_path: weightFolder,
        intra_op: { allow_spinning: spin ? '1' : '0' },
      },
    },
  };
}

/**
 * The library itself, for graphs that are no stages.
 *
 * @throws {AiosError} EXECUTOR_MISSING
 */
export async function loadOnnxLibrary(): Promise<OnnxLibrary> {
  return importLibrary();
}

async function importLibrary(): Promise<typeof import('onnxruntime-node')> {
  try {
    return await import('onnxruntime-node');
  } catch (cause) {
    throw new AiosError(
      'EXECUTOR_MISSING',
      `this machine (${process.platform} ${process.arch}) cannot load 'onnxruntime-node', which runs the shards of a ` +
        `model: ${messageOf(cause)}. Install it with: npm install onnxruntime-node`,
      { cause },
    );
  }
}

const describe = (value: InferenceSession.ValueMetadata): GraphValue =>
  value.isTensor
    ? { name: value.name, dtype: value.type, shape: value.shape }
    : { name: value.name, dtype: 'not a tensor', shape: [] };

const messageOf = (cause: unknown) =>
  (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, '');
