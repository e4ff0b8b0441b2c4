import type { TestModel } from './checkpoint.ts';

type Vector = Float64Array;

/**
 * Llama's forward pass written down as in the papers: double precision, no cache, one position after another. Shares
 * nothing with the product.
 */
export class ReferenceLlama {
  readonly #sizes: TestModel['sizes'];
  readonly #tensors: TestModel['tensors'];

  constructor({ sizes, tensors }: Pick<TestModel, 'sizes' | 'tensors'>) {
    this.#sizes = sizes;
    this.#tensors = tensors;
  }

  /** @returns logits of the last token, [vocabularySize] */
  logits(tokens: readonly number[]): Vector {
    const { layers, tied } = this.#sizes;
    let hidden = tokens.map((token) => this.#row('model.embed_tokens', token));
    for (let layer = 0; layer < layers; layer += 1) hidden = this.#layer(layer, hidden);
    const last = hidden.at(-1);
    if (!last) throw new Error('no tokens');
    const head = tied ? 'model.embed_tokens' : 'lm_head';
    return this.#linear(head, this.#norm('model.norm', last));
  }

  #layer(layer: number, hidden: readonly Vector[]): Vector[] {
    const at = (part: string) => `model.layers.${layer}.${part}`;
    const attended = this.#attention(
      at('self_attn'),
      hidden.map((row) => this.#norm(at('input_layernorm'), row)),
    );
    return hidden.map((row, position) => {
      const residual = add(row, attended[position] as Vector);
      const normed = this.#norm(at('post_attention_layernorm'), residual);
      const gate = this.#linear(at('mlp.gate_proj'), normed);
      const up = this.#linear(at('mlp.up_proj'), normed);
      const active = gate.map((value, i) => (value / (1 + Math.exp(-value))) * (up[i] as number));
      return add(residual, this.#linear(at('mlp.down_proj'), active));
    });
  }

  #attention(at: string, rows: readonly Vector[]): Vector[] {
    const { heads, keyValueHeads, headSize } = this.#sizes;
    const project = (part: string) => rows.map((row) => this.#linear(`${at}.${part}`, row));
    const rotated = (part: string) =>
      project(part).map((row, position) => this.#rotate(row, position));
    const queries = rotated('q_proj');
    const keys = rotated('k_proj');
    const values = project('v_proj');
    const headOf = (row: Vector, head: number) =>
      row.subarray(head * headSize, (head + 1) * headSize);

    return queries.map((query, position) => {
      const joined = new Float64Array(heads * headSize);
      for (let head = 0; head < heads; head += 1) {
        const shared = Math.floor(head / (heads / keyValueHeads));
        const scores = keys
          .slice(0, position + 1)
          .map((key) => dot(headOf(query, head), headOf(key, shared)) / Math.sqrt(headSize));
        softmax(scores).forEach((weight, seen) => {
          const value = headOf(values[seen] as Vector, shared);
          for (let i = 0; i < headSize; i += 1) {
            joined[head * headSize + i] =
              (joined[head * headSize + i] ?? 0) + weight * (value[i] ?? 0);
          }
        });
      }
      return this.#linear(`${at}.o_proj`, joined);
    });
  }

  /** Turns the pairs (i, i + headSize / 2) of each head by an angle that grows with the position. */
  #rotate(row: Vector, position: number): Vector {
    const { headSize, ropeTheta } = this.#sizes;
    const half = headSize / 2;
    const turned = new Float64Array(row.length);
    for (let start = 0; start < row.length; start += headSize) {
      for (let i = 0; i < half; i += 1) {
        const angle = position / ropeTheta ** (i / half);
        const x = row[start + i] as number;
        const y = row[start + half + i] as number;
        turned[start + i] = x * Math.cos(angle) - y * Math.sin(angle);
        turned[start + half + i] = y * Math.cos(angle) + x * Math.sin(angle);
      }
    }
    return turned;
  }

  #norm(name: string, row: Vector): Vector {
    const weight = this.#values(name);
    const meanSquare = dot(row, row) / row.length;
    return row.map((value, i) => (value / Math.sqrt(meanSquare + 1e-5)) * (weight[i] as number));
  }

  #linear(name: string, row: Vector): Vector {
    const weight = this.#values(name);
    const product = new Float64Array(weight.length / row.length);
    for (let output = 0; output < product.length; output += 1) {
      let sum = 0;
      for (let i = 0; i < row.length; i += 1) {
        sum += (weight[output * row.length + i] as number) * (row[i] as number);
      }
      product[output] = sum;
    }
    return product;
  }

  #row(name: string, index: number): Vector {
    const { hiddenSize } = this.#sizes;
    return Float64Array.from(
      this.#values(name).subarray(index * hiddenSize, (index + 1) * hiddenSize),
    );
  }

  #values(name: string): Float32Array {
    const tensor = this.#tensors.get(`${name}.weight`);
    if (!tensor) throw new Error(`no tensor ${name}`);
    return tensor.values;
  }
}

const add = (a: Vector, b: Vector): Vector => a.map((value, i) => value + (b[i] as number));

const dot = (a: Vector, b: Vector): number =>
  a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);

function softmax(scores: readonly number[]): number[] {
  const highest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
