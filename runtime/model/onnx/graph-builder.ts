import {
  encodeOnnxModel,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxInitializer,
  type OnnxNode,
  type OnnxValue,
} from './model.ts';

interface NodeOptions {
  readonly domain?: OnnxNode['domain'];
  readonly attributes?: OnnxNode['attributes'];
}

/** Collects the parts of a graph in execution order; a value is known by its name. */
export class GraphBuilder {
  readonly #name: string;
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers = new Map<string, OnnxInitializer>();
  readonly #inputs: OnnxValue[] = [];
  readonly #outputs: OnnxValue[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  input(value: OnnxValue): string {
    this.#inputs.push(value);
    return value.name;
  }

  /** Declares a value that some node gives as an output of the graph. */
  output(value: OnnxValue): void {
    this.#outputs.push(value);
  }

  /** Asking again for the same name is harmless: several nodes may read one initializer. */
  initializer(initializer: OnnxInitializer): string {
    this.#initializers.set(initializer.name, initializer);
    return initializer.name;
  }

  floats(name: string, values: readonly number[]): string {
    const data = new Uint8Array(Float32Array.from(values).buffer);
    return this.initializer({ name, type: 'float32', shape: [values.length], data });
  }

  scalar(name: string, value: number): string {
    const data = new Uint8Array(Float32Array.of(value).buffer);
    return this.initializer({ name, type: 'float32', shape: [], data });
  }

  integers(name: string, values: readonly number[]): string {
    const data = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    return this.initializer({ name, type: 'int64', shape: [values.length], data });
  }

  /** Whether some node gives this value. */
  has(output: string): boolean {
    return this.#nodes.some(({ outputs }) => outputs.includes(output));
  }

  /** Adds a node with named outputs. */
  node(
    operator: string,
    inputs: readonly string[],
    outputs: readonly string[],
    { domain = '', attributes = {} }: NodeOptions = {},
  ): void {
    const name = `${operator}:${outputs[0]}`;
    this.#nodes.push({ name, operator, domain, inputs, outputs, attributes });
  }

  /** Adds a node with one output, named `output`. @returns that name */
  value(
    operator: string,
    output: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
    domain: OnnxNode['domain'] = '',
  ): string {
    this.node(operator, inputs, [output], { domain, attributes });
    return output;
  }

  /** What was collected: for a graph inside a node. */
  graph(): OnnxGraph {
    return {
      name: this.#name,
      nodes: this.#nodes,
      initializers: [...this.#initializers.values()],
      inputs: this.#inputs,
      outputs: this.#outputs,
    };
  }

  encode(): Uint8Array {
    return encodeOnnxModel(this.graph());
  }
}
