import { bytes, integer, message, string } from './onnx/wire.ts';

/**
 * Keeps the binding from copying outputs that were written in place.
 *
 * onnxruntime-node 1.30 hands every output to JavaScript as a fresh copy, also one that was allocated by the caller: of a
 * KV cache that is all of it, at every token, and the garbage with it. It does so after the run, one output after
 * the other, and gives up at the first that JavaScript has no form for. So the graph gets such an output, before all
 * others: an empty sequence. What the caller allocated is complete by then. A binding without this fault copies nothing
 * and does not give up: then this changes nothing.
 */
const barrier = 'aios_copy_barrier';
const givingUp = 'Non tensor type is temporarily not supported.';

/** To be asked for beside the outputs that the caller allocated. */
export const barrierOutput: Readonly<Record<string, null>> = { [barrier]: null };

export const isBarrier = (name: string): boolean => name === barrier;

/** Whether a run "failed" after it was complete. */
export const isComplete = (fault: unknown): boolean =>
  fault instanceof Error && fault.message === givingUp;

/**
 * @param model - bytes of an ONNX file
 * @returns the same with the extra output first: in protobuf, messages laid end to end are merged, and lists in that order
 */
export function withBarrier(model: Uint8Array): Uint8Array {
  const floats = bytes(1, integer(1, 1));
  const sequence = bytes(4, bytes(1, floats));
  const output = message(string(1, barrier), bytes(2, sequence));
  const node = message(string(2, barrier), string(3, barrier), string(4, 'SequenceEmpty'));
  return Buffer.concat([bytes(7, message(bytes(1, node), bytes(12, output))), model]);
}
