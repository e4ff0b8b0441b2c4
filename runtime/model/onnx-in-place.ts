import { encodeOnnxModel } from './onnx/model.ts';
import { bytes, integer, message, string } from './onnx/wire.ts';

/**
 * Keeps the binding from copying outputs that were written in place.
 *
 * onnxruntime-node 1.30 hands every output to JavaScript as a fresh copy, also one that was allocated by the caller: of a
 * KV cache that is all of it, at every token, and the garbage with it. It does so after the run, one output after
 * the other, and gives up at the first that JavaScript has no form for. So the graph gets such an output, before all
 * others: an empty sequence. What the caller allocated is complete by then.
 *
 * None of this is promised anywhere, so it is tried out once on a graph of one addition: only a binding that gives up with
 * the sum in its place gets the extra output, and whatever it said then is what it says when a run was complete. Every
 * other binding is used as its manual says, copies and all.
 */
export interface InPlaceOutputs<T> {
  /** @returns the ONNX file to load in place of `model` */
  prepare(model: Uint8Array): Uint8Array;
  isOwn(output: string): boolean;
  run(
    session: Session<T>,
    inputs: Readonly<Record<string, T>>,
    outputs: Readonly<Record<string, T>>,
  ): Promise<void>;
}

/** What is needed of the binding; `T` is its tensor. */
export interface Binding<T> {
  openSession(model: Uint8Array): Promise<Session<T>>;
  float32(data: Float32Array, shape: readonly number[]): T;
}

interface Session<T> {
  run(
    inputs: Readonly<Record<string, T>>,
    outputs: Readonly<Record<string, T | null>>,
  ): Promise<unknown>;
  release(): Promise<void>;
}

const barrier = 'aios_copy_barrier';

/** Finds out how this binding treats outputs that the caller allocated. */
export async function tryInPlace<T>(binding: Binding<T>): Promise<InPlaceOutputs<T>> {
  const complaint = await complaintOf(binding).catch(() => undefined);
  if (complaint === undefined) {
    return {
      prepare: (model) => model,
      isOwn: () => false,
      run: async (session, inputs, outputs) => void (await session.run(inputs, outputs)),
    };
  }
  return {
    prepare: withBarrier,
    isOwn: (output) => output === barrier,
    async run(session, inputs, outputs) {
      try {
        await session.run(inputs, { ...outputs, [barrier]: null });
      } catch (fault) {
        if (messageOf(fault) !== complaint) throw fault;
      }
    },
  };
}

/** @returns what the binding says of the extra output after a run that was complete; undefined when that is not what it does */
async function complaintOf<T>({ openSession, float32 }: Binding<T>): Promise<string | undefined> {
  const session = await openSession(withBarrier(addition));
  const sum = new Float32Array(1);
  try {
    await session.run(
      { one: float32(Float32Array.of(1), [1]) },
      { [barrier]: null, two: float32(sum, [1]) },
    );
  } catch (fault) {
    if (sum[0] === 2) return messageOf(fault);
  } finally {
    await session.release();
  }
  return undefined;
}

const addition = encodeOnnxModel({
  name: 'addition',
  nodes: [
    {
      name: 'add',
      operator: 'Add',
      domain: '',
      inputs: ['one', 'one'],
      outputs: ['two'],
      attributes: {},
    },
  ],
  initializers: [],
  inputs: [{ name: 'one', type: 'float32', shape: [1] }],
  outputs: [{ name: 'two', type: 'float32', shape: [1] }],
});

const messageOf = (fault: unknown) => (fault instanceof Error ? fault.message : String(fault));

/**
 * @param model - bytes of an ONNX file
 * @returns the same with the extra output first: in protobuf, messages laid end to end are merged, and lists in that order
 */
function withBarrier(model: Uint8Array): Uint8Array {
  const floats = bytes(1, integer(1, 1));
  const sequence = bytes(4, bytes(1, floats));
  const output = message(string(1, barrier), bytes(2, sequence));
  const node = message(string(2, barrier), string(3, barrier), string(4, 'SequenceEmpty'));
  return Buffer.concat([bytes(7, message(bytes(1, node), bytes(12, output))), model]);
}
