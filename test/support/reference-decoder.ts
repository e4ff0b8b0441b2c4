import type { TestModel, TestTensor } from './checkpoint.ts';
import { add, dot, rotate, softmax, type Vector } from './reference-math.ts';
import { inverseFrequenciesOf, type ReferenceRope } from './reference-rope.ts';

type Config = TestModel['config'];

interface AttentionRows {
  /** A row a position: [heads · headSize]. */
  readonly queries: readonly Vector[];
  readonly keys: readonly Vector[];
  readonly values: readonly Vector[];
  readonly scale: number;
  readonly cap?: number | undefined;
  /** Positions seen, its own among them. */
  readonly window?: number | undefined;
}

/**
 * Forward passes of Llama, Mistral, Qwen 2 and 3, Phi-3, Gemma 2 and 3, written down as in their papers and
 * `transformers`: double precision, no cache, one position after another. Shares nothing with the product.
 */
export class ReferenceDecoder {
  readonly #config: Config;
  readonly #tensors: ReadonlyMap<string, TestTensor>;
  readonly #heads: number;
  readonly #keyValueHeads: number;
  readonly #headSize: number;
  readonly #type: string;

  constructor({ config, tensors }: Pick<TestModel, 'config' | 'tensors'>) {
    this.#config = config;
    this.#tensors = tensors;
    this.#type = String(config.model_type);
    this.#heads = Number(config.num_attention_heads);
    this.#keyValueHeads = Number(config.num_key_value_heads);
    this.#headSize = Number(config.head_dim ?? Number(config.hidden_size) / this.#heads);
  }

  /** @returns logits of the last token, [vocabularySize] */
  logits(tokens: readonly number[]): Vector {
    const last = this.#hidden(tokens).at(-1);
    if (!last) throw new Error('no tokens');
    return this.#head(last);
  }

  /** @returns logits after each token */
  allLogits(tokens: readonly number[]): Vector[] {
    return this.#hidden(tokens).map((row) => this.#head(row));
  }

  #hidden(tokens: readonly number[]): Vector[] {
    const size = Number(this.#config.hidden_size);
    const table = this.#values('model.embed_tokens.weight');
    const scale = this.#isGemma ? Math.sqrt(size) : 1;
    let rows: Vector[] = tokens.map((token) =>
      Float64Array.from(table.subarray(token * size, (token + 1) * size), (x) => x * scale),
    );
    for (let layer = 0; layer < Number(this.#config.num_hidden_layers); layer += 1) {
      rows = this.#isGemma ? this.#gemmaLayer(layer, rows) : this.#plainLayer(layer, rows);
    }
    return rows;
  }

  #head(row: Vector): Vector {
    const head = this.#config.tie_word_embeddings ? 'model.embed_tokens' : 'lm_head';
    const logits = this.#linear(head, this.#norm('model.norm', row));
    const cap = this.#config.final_logit_softcapping as number | null | undefined;
    return this.#isGemma && cap ? logits.map((x) => cap * Math.tanh(x / cap)) : logits;
  }

  get #isGemma(): boolean {
    return this.#type.startsWith('gemma');
  }

  /** `LlamaDecoderLayer` and those that were copied from it. */
  #plainLayer(layer: number, hidden: readonly Vector[]): Vector[] {
    const at = `model.layers.${layer}`;
    const normed = hidden.map((row) => this.#norm(`${at}.input_layernorm`, row));
    const attended = this.#attention(layer, normed);
    return hidden.map((row, position) => {
      const residual = add(row, attended[position] as Vector);
      const mlpInput = this.#norm(`${at}.post_attention_layernorm`, residual);
      return add(residual, this.#gatedMlp(`${at}.mlp`, mlpInput));
    });
  }

  /** `Gemma2DecoderLayer` and `Gemma3DecoderLayer`. */
  #gemmaLayer(layer: number, hidden: readonly Vector[]): Vector[] {
    const at = `model.layers.${layer}`;
    const normed = hidden.map((row) => this.#norm(`${at}.input_layernorm`, row));
    const attended = this.#attention(layer, normed);
    return hidden.map((row, position) => {
      const afterAttention = this.#norm(
        `${at}.post_attention_layernorm`,
        attended[position] as Vector,
      );
      const residual = add(row, afterAttention);
      const mlpInput = this.#norm(`${at}.pre_feedforward_layernorm`, residual);
      const afterMlp = this.#gatedMlp(`${at}.mlp`, mlpInput);
      return add(residual, this.#norm(`${at}.post_feedforward_layernorm`, afterMlp));
    });
  }

  #gatedMlp(at: string, row: Vector): Vector {
    let gate: Vector;
    let up: Vector;
    if (this.#type === 'phi3') {
      const both = this.#linear(`${at}.gate_up_proj`, row);
      gate = both.slice(0, both.length / 2);
      up = both.slice(both.length / 2);
    } else {
      gate = this.#linear(`${at}.gate_proj`, row);
      up = this.#linear(`${at}.up_proj`, row);
    }
    const activate = this.#isGemma
      ? (x: number) =>
          0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)))
      : (x: number) => x / (1 + Math.exp(-x));
    return this.#linear(
      `${at}.down_proj`,
      gate.map((value, i) => activate(value) * (up[i] as number)),
    );
  }

  #attention(layer: number, rows: readonly Vector[]): Vector[] {
    const at = `model.layers.${layer}.self_attn`;
    const config = this.#config;
    const rope = this.#ropeOf(layer);
    const hasHeadNorms = this.#type === 'qwen3' || this.#type === 'gemma3_text';
    const projected = rows.map((row) => this.#queryKeyValue(at, row));
    const turned = (row: Vector, norm: string, position: number) =>
      this.#eachHead(row, (head) =>
        rotate(hasHeadNorms ? this.#norm(`${at}.${norm}`, head) : head, position, rope),
      );
    const gemmaScale = Number(config.query_pre_attn_scalar) ** -0.5;
    const attended = this.#attend({
      queries: projected.map(([query], position) => turned(query, 'q_norm', position)),
      keys: projected.map(([, key], position) => turned(key, 'k_norm', position)),
      values: projected.map(([, , value]) => value),
      scale: this.#isGemma ? gemmaScale : this.#headSize ** -0.5,
      cap: this.#isGemma ? (config.attn_logit_softcapping as number | undefined) : undefined,
      window: this.#windowOf(layer),
    });
    return attended.map((row) => this.#linear(`${at}.o_proj`, row));
  }

  #queryKeyValue(at: string, row: Vector): readonly [Vector, Vector, Vector] {
    if (this.#type !== 'phi3') {
      return [
        this.#linear(`${at}.q_proj`, row),
        this.#linear(`${at}.k_proj`, row),
        this.#linear(`${at}.v_proj`, row),
      ];
    }
    const all = this.#linear(`${at}.qkv_proj`, row);
    const queries = this.#heads * this.#headSize;
    const keys = this.#keyValueHeads * this.#headSize;
    return [all.slice(0, queries), all.slice(queries, queries + keys), all.slice(queries + keys)];
  }

  #attend({ queries, keys, values, scale, cap, window }: AttentionRows): Vector[] {
    const size = this.#headSize;
    const headOf = (row: Vector | undefined, head: number) =>
      (row as Vector).subarray(head * size, (head + 1) * size);
    return queries.map((query, position) => {
      const first = window ? Math.max(0, position - window + 1) : 0;
      const joined = new Float64Array(this.#heads * size);
      for (let head = 0; head < this.#heads; head += 1) {
        const shared = Math.floor(head / (this.#heads / this.#keyValueHeads));
        const scores = keys.slice(first, position + 1).map((key) => {
          const score = dot(headOf(query, head), headOf(key, shared)) * scale;
          return cap ? cap * Math.tanh(score / cap) : score;
        });
        softmax(scores).forEach((weight, seen) => {
          const value = headOf(values[first + seen], shared);
          for (let i = 0; i < size; i += 1) {
            joined[head * size + i] = (joined[head * size + i] ?? 0) + weight * (value[i] ?? 0);
          }
        });
      }
      return joined;
    });
  }

  #ropeOf(layer: number): ReferenceRope {
    const config = this.#config;
    const dimensions = Math.floor(this.#headSize * Number(config.partial_rotary_factor ?? 1));
    if (this.#type === 'gemma3_text' && this.#slides(layer)) {
      return inverseFrequenciesOf({ rope_theta: config.rope_local_base_freq }, dimensions);
    }
    return inverseFrequenciesOf(config, dimensions);
  }

  #slides(layer: number): boolean {
    const config = this.#config;
    const types = config.layer_types as readonly string[] | undefined;
    if (types) return types[layer] === 'sliding_attention';
    if (this.#type === 'mistral' || this.#type === 'phi3') return true;
    if (this.#type === 'gemma2') return (layer + 1) % 2 !== 0;
    if (this.#type === 'gemma3_text') {
      return (layer + 1) % Number(config.sliding_window_pattern) !== 0;
    }
    return layer >= Number(config.max_window_layers);
  }

  #windowOf(layer: number): number | undefined {
    const { sliding_window: window, use_sliding_window: asked } = this.#config;
    if (this.#type === 'llama' || typeof window !== 'number') return undefined;
    if (this.#type.startsWith('qwen') && !asked) return undefined;
    return this.#slides(layer) ? window : undefined;
  }

  #eachHead(row: Vector, map: (head: Vector) => Vector): Vector {
    const size = this.#headSize;
    const joined = new Float64Array(row.length);
    for (let start = 0; start < row.length; start += size) {
      joined.set(map(row.slice(start, start + size)), start);
    }
    return joined;
  }

  #norm(name: string, row: Vector): Vector {
    const weight = this.#values(`${name}.weight`);
    const offset = this.#isGemma ? 1 : 0;
    const root = Math.sqrt(dot(row, row) / row.length + Number(this.#config.rms_norm_eps));
    return row.map((value, i) => (value / root) * (offset + (weight[i] as number)));
  }

  /** As a linear layer of PyTorch does: with a bias where the checkpoint has one. */
  #linear(name: string, row: Vector): Vector {
    const weight = this.#values(`${name}.weight`);
    const bias = this.#tensors.get(`${name}.bias`)?.values;
    const product = new Float64Array(weight.length / row.length);
    for (let output = 0; output < product.length; output += 1) {
      let sum = bias?.[output] ?? 0;
      for (let i = 0; i < row.length; i += 1) {
        sum += (weight[output * row.length + i] as number) * (row[i] as number);
      }
      product[output] = sum;
    }
    return product;
  }

  #values(name: string): Float32Array {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new Error(`no tensor ${name}`);
    return tensor.values;
  }
}
