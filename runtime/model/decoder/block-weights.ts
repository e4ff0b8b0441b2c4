import type { GraphBuilder } from '../onnx/graph-builder.ts';
import type { ExternalData } from '../onnx/model.ts';
import { type BlockForm, blocksOf, codeBytesOf, scaleBytesOf } from '../quantize/weight-form.ts';
import { addBlockLookup, addBlockProduct } from './block-product.ts';
import { createLoneRows, type LoneRows } from './lone-rows.ts';
import { embeddingName, headProjectionName, type Projection } from './weights.ts';

/** Where a tensor's codes and scales lie. */
export interface BlockPlace extends BlockForm {
  readonly codes: ExternalData;
  readonly scales: ExternalData;
}

/** Operators over weights in blocks. */
export interface BlockWeights {
  linear(output: string, input: string, projection: Projection, place: BlockPlace): string;
  /** float32 [b, rows, hidden] */
  embedding(ids: string, hiddenSize: number, rows: number, place: BlockPlace): string;
}

export function blockWeights(graph: GraphBuilder): BlockWeights {
  const loneRows = new Map<string, LoneRows>();

  function loneRowsFor({ bits, blockSize }: BlockForm, projection: Projection, input: string) {
    // The head takes the last row of each session, all others all rows.
    const key = `${bits} ${projection.name === headProjectionName}`;
    const form: BlockForm = { type: 'blocks', bits, blockSize };
    const known = loneRows.get(key) ?? createLoneRows(graph, form, input);
    loneRows.set(key, known);
    return known;
  }

  return {
    linear(output, input, projection, place) {
      const { tensor, firstRow, outputs, inputs } = projection;
      const blocks = blocksOf(inputs, place);
      const blockBytes = (place.blockSize * place.bits) / 8;
      /** Rows of a tensor that holds several projections' are an initializer of their own, over the same bytes. */
      const rowsOf = (data: ExternalData, rowBytes: number): ExternalData => ({
        location: data.location,
        offsetBytes: data.offsetBytes + firstRow * rowBytes,
        lengthBytes: outputs * rowBytes,
      });
      const codes = graph.initializer({
        name: `${tensor}:${firstRow}:codes`,
        type: 'uint8',
        shape: [outputs, blocks, blockBytes],
        data: rowsOf(place.codes, codeBytesOf(inputs, place)),
      });
      const scales = graph.initializer({
        name: `${tensor}:${firstRow}:scales`,
        type: 'float32',
        shape: [outputs, blocks],
        data: rowsOf(place.scales, scaleBytesOf(inputs, place)),
      });
      const lone = loneRowsFor(place, projection, input);
      const matrix = { form: place, codes, scales, outputs, inputs };
      const product = addBlockProduct(graph, `${output}_rows`, lone.padded(input), matrix);
      return lone.trimmed(output, product);
    },
    embedding(ids, hiddenSize, rows, place) {
      // The same bytes as a head's that is tied to it, in the shape that a look-up reads; only pages that are read take
      // memory.
      const codes = graph.initializer({
        name: `${embeddingName}:table`,
        type: 'uint8',
        shape: [rows, codeBytesOf(hiddenSize, place)],
        data: place.codes,
      });
      const blocks = blocksOf(hiddenSize, place);
      const scales = graph.initializer({
        name: `${embeddingName}:table_scales`,
        type: 'float32',
        shape: [rows, blocks],
        data: place.scales,
      });
      const width = blocks * place.blockSize;
      const whole = width === hiddenSize ? 'embedded' : 'embedded_blocks';
      const found = addBlockLookup(graph, whole, ids, { form: place, codes, scales });
      if (width === hiddenSize) return found;
      const bounds = [0, hiddenSize, 2].map((bound) => graph.integers(`int_${bound}`, [bound]));
      return graph.value('Slice', 'embedded', [found, ...bounds]);
    },
  };
}
