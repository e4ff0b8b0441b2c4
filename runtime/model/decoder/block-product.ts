import type { GraphBuilder } from '../onnx/graph-builder.ts';
import type { BlockForm } from '../quantize/weight-form.ts';

const contrib = 'com.microsoft';
/**
 * Activations are rounded to int8 in blocks like the weights', and multiplied as integers: five times as fast as
 * floats.
 */
const accuracyLevel = 4;

export interface BlockMatrix {
  readonly form: BlockForm;
  /** Initializers: uint8 [outputs, blocks, bytes of a block], and float32 [outputs, blocks]. */
  readonly codes: string;
  readonly scales: string;
  readonly outputs: number;
  readonly inputs: number;
}

/** [b, rows, inputs] → [b, rows, outputs]. @returns `output` */
export function addBlockProduct(
  graph: GraphBuilder,
  output: string,
  input: string,
  { form, codes, scales, outputs, inputs }: BlockMatrix,
): string {
  const attributes = {
    K: { i: inputs },
    N: { i: outputs },
    bits: { i: form.bits },
    block_size: { i: form.blockSize },
    accuracy_level: { i: accuracyLevel },
  };
  return graph.value('MatMulNBits', output, [input, codes, scales], attributes, contrib);
}

/** Rows of a table by ids [b, rows], float32. @returns `output`, [b, rows, numbers of whole blocks] */
export function addBlockLookup(
  graph: GraphBuilder,
  output: string,
  ids: string,
  { form, codes, scales }: Pick<BlockMatrix, 'form' | 'codes' | 'scales'>,
): string {
  const attributes = {
    bits: { i: form.bits },
    block_size: { i: form.blockSize },
    gather_axis: { i: 0 },
    quantize_axis: { i: 1 },
  };
  return graph.value('GatherBlockQuantized', output, [codes, ids, scales], attributes, contrib);
}
