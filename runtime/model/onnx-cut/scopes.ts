import type { OnnxGraphRef, OnnxNodeRef } from './onnx-file.ts';

/** Says what is wrong with a name, and where. */
export type Report = (offsetBytes: number, message: string) => void;

/** Names that a graph defines by itself. A name defined twice is reported. */
export function definedNames(graph: OnnxGraphRef, report: Report): Set<string> {
  const names = new Set<string>();
  const define = (name: string, offsetBytes: number, what: string) => {
    if (name === '') return;
    if (names.has(name)) {
      report(offsetBytes, `${what} '${name}' has the name of a tensor that is already there.`);
    }
    names.add(name);
  };
  for (const { name, message } of graph.inputs) define(name, message.offsetBytes, 'input');
  const inputs = new Set(names);
  const initializers = new Set<string>();
  for (const { name, message } of [...graph.initializers, ...graph.sparseInitializers]) {
    if (initializers.has(name))
      report(message.offsetBytes, `initializer '${name}' is there twice.`);
    initializers.add(name);
    // An initializer may give an input its default.
    if (!inputs.has(name)) names.add(name);
  }
  for (const { outputs, message } of graph.nodes) {
    for (const name of outputs) define(name, message.offsetBytes, 'output');
  }
  return names;
}

/** What a node reads: its inputs, and what the graphs inside it take from around them. Each name once. */
export function readsOf(node: OnnxNodeRef, report: Report): readonly string[] {
  const reads = new Set(node.inputs.filter((name) => name !== ''));
  for (const { graphs } of node.attributes) {
    for (const graph of graphs) for (const name of capturesOf(graph, report)) reads.add(name);
  }
  return [...reads];
}

function capturesOf(graph: OnnxGraphRef, report: Report): Set<string> {
  const own = definedNames(graph, report);
  const captures = new Set<string>();
  const read = (name: string) => {
    if (name !== '' && !own.has(name)) captures.add(name);
  };
  for (const node of graph.nodes) for (const name of readsOf(node, report)) read(name);
  for (const { name } of graph.outputs) read(name);
  return captures;
}
