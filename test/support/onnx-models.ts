import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { GraphBuilder } from '../../runtime/model/onnx/graph-builder.ts';
import type { OnnxAttribute } from '../../runtime/model/onnx/model.ts';

type Attributes = Readonly<Record<string, OnnxAttribute>>;

export interface WrittenModel {
  readonly path: string;
  readonly weightBytes: number;
}

/** Builds a graph whose random weights go to a file as they are made, or inside the graph. */
class ModelWriter {
  readonly graph: GraphBuilder;
  readonly #folder: string;
  readonly #inline: boolean;
  readonly #weights: number | undefined;
  #end = 0;
  #seed = 12345;
  #counter = 0;

  constructor(folder: string, name: string, inline: boolean) {
    mkdirSync(folder, { recursive: true });
    this.graph = new GraphBuilder(name);
    this.#folder = folder;
    this.#inline = inline;
    this.#weights = inline ? undefined : openSync(join(folder, 'model.onnx_data'), 'w');
  }

  /** Uniform around `middle`, at most `spread` away. */
  weight(name: string, shape: readonly number[], spread: number, middle = 0): string {
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
    for (let index = 0; index < values.length; index += 1) {
      this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) >>> 0;
      values[index] = middle + spread * (this.#seed / 2 ** 31 - 1);
    }
    const data = new Uint8Array(values.buffer);
    const offsetBytes = this.#end;
    this.#end += data.length;
    if (this.#inline || this.#weights === undefined) {
      return this.graph.initializer({ name, type: 'float32', shape, data });
    }
    writeSync(this.#weights, data);
    return this.graph.initializer({
      name,
      type: 'float32',
      shape,
      data: { location: 'model.onnx_data', offsetBytes, lengthBytes: data.length },
    });
  }

  op(operator: string, inputs: readonly string[], attributes: Attributes = {}): string {
    this.#counter += 1;
    return this.graph.value(operator, `/${operator}_${this.#counter}`, inputs, attributes);
  }

  ops(
    operator: string,
    inputs: readonly string[],
    count: number,
    attributes: Attributes,
  ): string[] {
    this.#counter += 1;
    const outputs = Array.from(
      { length: count },
      (_, index) => `/${operator}_${this.#counter}.${index}`,
    );
    this.graph.node(operator, inputs, outputs, { attributes });
    return outputs;
  }

  finish(): WrittenModel {
    if (this.#weights !== undefined) closeSync(this.#weights);
    const path = join(this.#folder, 'model.onnx');
    writeFileSync(path, this.graph.encode());
    return { path, weightBytes: this.#end };
  }
}

export interface EncoderSizes {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly vocabulary: number;
  /** Norm before each half of a layer, as in ViT and GPT, instead of after, as in BERT. @default false */
  readonly normFirst?: boolean;
  /** LayerNorm in the nine operators of exports before opset 17. @default false */
  readonly decomposedNorm?: boolean;
  /** Weights inside the `.onnx`. @default false */
  readonly inline?: boolean;
  /** Batch and tokens, where they are fixed. */
  readonly shape?: readonly [number, number];
}

/** An encoder as PyTorch exports BERT: attention in plain operators, Gelu as an Erf, a mask computed from the input. */
export function writeEncoder(folder: string, sizes: EncoderSizes): WrittenModel {
  const { layers, hidden, heads, vocabulary, normFirst = false } = sizes;
  const w = new ModelWriter(folder, 'encoder', sizes.inline ?? false);
  const { graph } = w;
  const shape = sizes.shape ?? ['batch', 'tokens'];
  const ids = graph.input({ name: 'input_ids', type: 'int64', shape });
  const given = graph.input({ name: 'attention_mask', type: 'int64', shape });
  const spread = 1.7 / Math.sqrt(hidden);
  const ints = (...values: number[]) => graph.integers(`ints_${values.join('_')}`, values);
  const scalar = (value: number) => graph.scalar(`scalar_${value}`, value);

  const linear = (name: string, x: string, from: number, to: number) => {
    const product = w.op('MatMul', [
      x,
      w.weight(`${name}.weight`, [from, to], 1.7 / Math.sqrt(from)),
    ]);
    return w.op('Add', [w.weight(`${name}.bias`, [to], 0.02), product]);
  };
  const norm = (name: string, x: string) => {
    const gamma = w.weight(`${name}.gamma`, [hidden], 0.1, 1);
    const beta = w.weight(`${name}.beta`, [hidden], 0.1);
    if (!sizes.decomposedNorm) {
      return w.op('LayerNormalization', [x, gamma, beta], {
        axis: { i: -1 },
        epsilon: { f: 1e-12 },
      });
    }
    const mean = w.op('ReduceMean', [x], { axes: { ints: [-1] } });
    const centred = w.op('Sub', [x, mean]);
    const variance = w.op('ReduceMean', [w.op('Pow', [centred, scalar(2)])], {
      axes: { ints: [-1] },
    });
    const deviation = w.op('Sqrt', [w.op('Add', [variance, scalar(1e-12)])]);
    return w.op('Add', [w.op('Mul', [w.op('Div', [centred, deviation]), gamma]), beta]);
  };
  const split = (x: string) => w.op('Reshape', [x, ints(0, 0, heads, hidden / heads)]);
  const attention = (name: string, x: string, mask: string) => {
    const query = w.op('Transpose', [split(linear(`${name}.query`, x, hidden, hidden))], {
      perm: { ints: [0, 2, 1, 3] },
    });
    const key = w.op('Transpose', [split(linear(`${name}.key`, x, hidden, hidden))], {
      perm: { ints: [0, 2, 3, 1] },
    });
    const value = w.op('Transpose', [split(linear(`${name}.value`, x, hidden, hidden))], {
      perm: { ints: [0, 2, 1, 3] },
    });
    const scores = w.op('Div', [w.op('MatMul', [query, key]), scalar(Math.sqrt(hidden / heads))]);
    const shares = w.op('Softmax', [w.op('Add', [scores, mask])], { axis: { i: -1 } });
    const mixed = w.op('Transpose', [w.op('MatMul', [shares, value])], {
      perm: { ints: [0, 2, 1, 3] },
    });
    return linear(`${name}.output`, w.op('Reshape', [mixed, ints(0, 0, hidden)]), hidden, hidden);
  };
  const feedForward = (name: string, x: string) => {
    const wide = linear(`${name}.up`, x, hidden, 4 * hidden);
    const bent = w.op('Add', [w.op('Erf', [w.op('Div', [wide, scalar(Math.SQRT2)])]), scalar(1)]);
    return linear(
      `${name}.down`,
      w.op('Mul', [w.op('Mul', [wide, bent]), scalar(0.5)]),
      4 * hidden,
      hidden,
    );
  };

  const wide = w.op('Unsqueeze', [w.op('Unsqueeze', [given, ints(1)]), ints(2)]);
  const hidingBias = w.op('Sub', [scalar(1), w.op('Cast', [wide], { to: { i: 1 } })]);
  const mask = w.op('Mul', [hidingBias, scalar(-10000)]);
  const length = w.op('Gather', [w.op('Shape', [ids]), ints(1)], { axis: { i: 0 } });
  const table = w.weight('embeddings.position', [512, hidden], spread);
  const positions = w.op('Slice', [table, ints(0), length, ints(0)]);
  const words = w.op('Gather', [w.weight('embeddings.word', [vocabulary, hidden], 1), ids], {
    axis: { i: 0 },
  });
  let x = w.op('Add', [words, positions]);
  if (!normFirst) x = norm('embeddings.norm', x);
  for (let layer = 0; layer < layers; layer += 1) {
    const name = (part: string) => `layer.${layer}.${part}`;
    if (normFirst) {
      x = w.op('Add', [x, attention(name('attention'), norm(name('norm1'), x), mask)]);
      x = w.op('Add', [x, feedForward(name('mlp'), norm(name('norm2'), x))]);
    } else {
      x = norm(name('norm1'), w.op('Add', [attention(name('attention'), x, mask), x]));
      x = norm(name('norm2'), w.op('Add', [feedForward(name('mlp'), x), x]));
    }
  }
  if (normFirst) x = norm('final', x);
  graph.value('Identity', 'last_hidden_state', [x]);
  graph.output({ name: 'last_hidden_state', type: 'float32', shape: [...shape, hidden] });
  return w.finish();
}

/** A detector after YOLO: convolutions with batch norm and SiLU, split and joined channels, skips across the whole net. */
export function writeDetector(folder: string, width: number, { inline = true } = {}): WrittenModel {
  const w = new ModelWriter(folder, 'detector', inline);
  const { graph } = w;
  const image = graph.input({ name: 'images', type: 'float32', shape: [1, 3, 160, 160] });
  const conv = (name: string, x: string, from: number, to: number, kernel = 3, stride = 1) => {
    const weight = w.weight(
      `${name}.weight`,
      [to, from, kernel, kernel],
      1.7 / Math.sqrt(from * kernel * kernel),
    );
    const pad = Math.floor(kernel / 2);
    const attributes = {
      kernel_shape: { ints: [kernel, kernel] },
      strides: { ints: [stride, stride] },
      pads: { ints: [pad, pad, pad, pad] },
    };
    return w.op('Conv', [x, weight], attributes);
  };
  const block = (name: string, x: string, from: number, to: number, kernel = 3, stride = 1) => {
    const raw = conv(`${name}.conv`, x, from, to, kernel, stride);
    const per = (part: string, middle: number) => w.weight(`${name}.bn.${part}`, [to], 0.1, middle);
    const normed = w.op(
      'BatchNormalization',
      [raw, per('scale', 1.5), per('bias', 0), per('mean', 0), per('variance', 1)],
      { epsilon: { f: 1e-3 } },
    );
    return w.op('Mul', [normed, w.op('Sigmoid', [normed])]);
  };
  const stage = (name: string, x: string, from: number, to: number, shortcut: boolean) => {
    const half = to / 2;
    const [left = '', right = ''] = w.ops('Split', [block(`${name}.in`, x, from, to, 1)], 2, {
      axis: { i: 1 },
    });
    const inner = block(`${name}.b`, block(`${name}.a`, right, half, half), half, half);
    const last = shortcut ? w.op('Add', [right, inner]) : inner;
    return block(
      `${name}.out`,
      w.op('Concat', [left, right, last], { axis: { i: 1 } }),
      3 * half,
      to,
      1,
    );
  };
  const pool = (x: string) =>
    w.op('MaxPool', [x], {
      kernel_shape: { ints: [5, 5] },
      strides: { ints: [1, 1] },
      pads: { ints: [2, 2, 2, 2] },
    });
  const scales = graph.floats('scales', [1, 1, 2, 2]);
  const larger = (x: string) =>
    w.op('Resize', [x, '', scales], {
      mode: { text: 'nearest' },
      nearest_mode: { text: 'floor' },
      coordinate_transformation_mode: { text: 'asymmetric' },
    });
  const concat = (...parts: string[]) => w.op('Concat', parts, { axis: { i: 1 } });

  const [c1, c2, c3, c4] = [width, 2 * width, 4 * width, 8 * width] as const;
  const p1 = block('p1', image, 3, c1, 3, 2);
  const p2 = stage('s2', block('p2', p1, c1, c1, 3, 2), c1, c1, true);
  const p3 = stage('s3', block('p3', p2, c1, c2, 3, 2), c2, c2, true);
  const p4 = stage('s4', block('p4', p3, c2, c3, 3, 2), c3, c3, true);
  const deep = stage('s5', block('p5', p4, c3, c4, 3, 2), c4, c4, true);
  const once = pool(block('sppf.in', deep, c4, c3, 1));
  const twice = pool(once);
  const p5 = block('sppf.out', concat(once, twice, pool(twice)), 3 * c3, c4, 1);
  const up4 = stage('u4', concat(larger(p5), p4), c4 + c3, c3, false);
  const up3 = stage('u3', concat(larger(up4), p3), c3 + c2, c2, false);
  const down4 = stage('d4', concat(block('d4.down', up3, c2, c2, 3, 2), up4), c2 + c3, c3, false);
  const down5 = stage('d5', concat(block('d5.down', down4, c3, c3, 3, 2), p5), c3 + c4, c4, false);
  const flat = graph.integers('flat', [1, 85, -1]);
  const heads = [
    [up3, c2],
    [down4, c3],
    [down5, c4],
  ] as const;
  const boxes = heads.map(([x, channels], index) => {
    const name = `head${index}`;
    const raw = conv(`${name}.out`, block(`${name}.in`, x, channels, c2), c2, 85, 1);
    return w.op('Reshape', [raw, flat]);
  });
  const all = w.op('Concat', boxes, { axis: { i: 2 } });
  const [coordinates = '', scores = ''] = w.ops(
    'Split',
    [all, graph.integers('parts', [4, 81])],
    2,
    { axis: { i: 1 } },
  );
  graph.node('Concat', [coordinates, w.op('Sigmoid', [scores])], ['output0'], {
    attributes: { axis: { i: 1 } },
  });
  graph.output({ name: 'output0', type: 'float32', shape: [1, 85, 'boxes'] });
  return w.finish();
}
