import type { GraphBuilder } from '../onnx/graph-builder.ts';
import { type BlockForm, blocksOf } from '../quantize/weight-form.ts';
import { addBlockProduct } from './block-product.ts';

const int64 = { i: 7 };
/** Of the products that are compared: so many numbers that two ways to sum never give the same bits. */
const probe = { outputs: 32, inputs: 256 } as const;

/** Gives a row that is multiplied alone the company of a second one, where a batch would be computed otherwise. */
export interface LoneRows {
  /** [b, rows, inputs] → as many rows, or a second one. */
  padded(input: string): string;
  /** Leaves the second one out. @returns `output` */
  trimmed(output: string, product: string): string;
}

/**
 * ONNX Runtime's kernels for block-wise weights may sum a single row in another order than a row among others: on x86
 * with AVX2 and no AVX-512 they do for four bits and blocks of 32 or more. An answer would then depend on who else is
 * answered at the time. Which kernels there are is known where the graph runs, so the graph itself finds out, at each
 * run, by a small product of one row and of two; only where they differ, a lone row gets a second one, of zeros. From
 * two on, all numbers of rows give the same bits.
 *
 * @param like - a tensor [b, rows, …] as all that are padded here
 */
export function createLoneRows(graph: GraphBuilder, form: BlockForm, like: string): LoneRows {
  const integers = (...values: number[]) => graph.integers(`int_${values.join('_')}`, values);
  const at = (part: string) => `${like}_${part}`;
  const padded = new Map<string, string>();

  const shape = graph.value('Shape', at('shape'), [like]);
  const counts = graph.value('Slice', at('counts'), [shape, integers(0), integers(2)]);
  const rows = graph.value('Slice', at('rows'), [counts, integers(1), integers(2)]);
  const product = graph.value('ReduceProd', at('product'), [counts], { keepdims: { i: 1 } });
  const isLone = graph.value('Equal', at('is_lone'), [product, integers(1)]);
  const lone = graph.value('Cast', at('lone'), [isLone], { to: int64 });
  const missing = graph.value('Mul', at('missing'), [lone, addProbe(graph, form)]);
  const filling = graph.value('Mul', at('filling'), [integers(0, 0, 0, 0, 1, 0), missing]);

  return {
    padded(input) {
      const known = padded.get(input);
      if (known) return known;
      const result = graph.value('Pad', `${input}_padded`, [input, filling]);
      padded.set(input, result);
      return result;
    },
    trimmed: (output, product) =>
      graph.value('Slice', output, [product, integers(0), rows, integers(1)]),
  };
}

/** @returns int64 [1]: 1 where one row's bits differ from those of the same row among others. Once a graph and form. */
function addProbe(graph: GraphBuilder, form: BlockForm): string {
  const at = (part: string) => `probe_${form.bits}_${part}`;
  const output = at('differs');
  if (graph.has(output)) return output;
  const { outputs, inputs } = probe;
  const blocks = blocksOf(inputs, form);
  const blockBytes = (form.blockSize * form.bits) / 8;
  const floats = (part: string, dimensions: readonly number[], valueAt: (i: number) => number) => {
    const count = dimensions.reduce((all, size) => all * size, 1);
    const data = new Uint8Array(Float32Array.from({ length: count }, (_, i) => valueAt(i)).buffer);
    return graph.initializer({ name: at(part), type: 'float32', shape: dimensions, data });
  };
  const codes = graph.initializer({
    name: at('codes'),
    type: 'uint8',
    shape: [outputs, blocks, blockBytes],
    data: Uint8Array.from({ length: outputs * blocks * blockBytes }, (_, i) => (i * 73) % 251),
  });
  const scales = floats('scales', [outputs, blocks], (i) => 0.01 + ((i * 37) % 89) / 97);
  const sine = (i: number) => Math.sin(1 + (i % inputs));
  const products = [1, 2].map((count) =>
    addBlockProduct(
      graph,
      at(`product_${count}`),
      floats(`rows_${count}`, [1, count, inputs], sine),
      {
        ...{ form, codes, scales, outputs, inputs },
      },
    ),
  ) as [string, string];
  const first = graph.value('Slice', at('first'), [
    products[1],
    ...[0, 1, 1].map((value) => graph.integers(`int_${value}`, [value])),
  ]);
  const same = graph.value('Equal', at('same'), [products[0], first]);
  const numbers = graph.value('Cast', at('numbers'), [same], { to: int64 });
  const flat = graph.value('Reshape', at('flat'), [numbers, graph.integers('int_-1', [-1])]);
  const all = graph.value('ReduceMin', at('all'), [flat], { keepdims: { i: 1 } });
  return graph.value('Sub', output, [graph.integers('int_1', [1]), all]);
}
